"""An application as it was written for Perper 0.8, in a process of its own."""


async def test_an_application_of_0_8(script):
    done = script(
        '''
        import asyncio
        import perper
        from perper import PerperStream

        received = []
        done = None

        async def init():
            """Runs once, as 0.8's `Init` did with use_deploy_init."""
            agent, greeting = await perper.start_agent("Shop", "Sofia")
            price, currency = await perper.call_agent(agent, "Price", "apples")
            received.append((greeting, price, currency))

            generator = perper.start_stream("Generator", 5, ephemeral=False)
            doubled = perper.start_stream("Doubler", generator)
            async for item in perper.enumerate_stream(doubled):
                received.append(item)

            first, start_first = perper.declare_stream("Cycle", ephemeral=False, action=True)
            second = perper.start_stream("Cycle", first, 1, ephemeral=False, action=True)
            start_first(second, 0)
            async for key, item in perper.enumerate_stream_with_keys(perper.replay_stream(first)):
                received.append(item)
                if item >= 6:
                    break
            await perper.destroy_stream(first)

            blank = perper.create_blank_stream(packed=True)
            assert isinstance(blank, PerperStream)

            created = await asyncio.create_task(perper.call("Both"))
            received.append(created)
            received.append(perper.get_agent().instance)
            await perper.destroy_agent(agent)
            done.set_result(None)

        def start(city):
            perper.set_state("city", city)
            return f"welcome to {perper.get_state('city')}"

        def price(what):
            return (2, perper.datatypes.IntObject), perper.get_state("currency", "EUR")

        async def generator(count):
            for i in range(count):
                yield i

        async def doubler(stream):
            async for i in perper.enumerate_stream(perper.replay_stream(stream)):
                yield i * 2

        async def cycle(other, first):
            yield first
            async for i in perper.enumerate_stream(perper.replay_stream(other)):
                yield i + 2

        async def both():
            perper.set_state("n", perper.get_state("n", 0) + 1)
            return perper.get_state("n"), "times"

        async def main():
            global done
            done = asyncio.get_running_loop().create_future()
            shop = asyncio.ensure_future(
                perper.run("Shop", {
                    "Init": init, "Startup": start, "Price": price, "Generator": generator, "Doubler": doubler,
                    "Cycle": cycle, "Both": both,
                }, use_deploy_init=True)
            )
            await asyncio.wait([shop, done], return_when=asyncio.FIRST_COMPLETED)
            shop.cancel()
            try:
                await shop
            except asyncio.CancelledError:
                pass
            for line in received:
                print(line)

        asyncio.run(main())
        ''',
        timeout=90,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "('welcome to Sofia', 2, 'EUR')"
    assert lines[1:6] == ["0", "2", "4", "6", "8"]
    assert lines[6] == "0"
    assert int(lines[-3]) >= 6
    assert lines[-2:] == ["(1, 'times')", "Shop-Init"]


async def test_a_notebooks_context(script):
    done = script(
        """
        import asyncio
        import perper

        async def main():
            perper.run_notebook()
            running = perper.register_delegate("Double", lambda value: value * 2)
            perper.set_state("n", perper.get_state("n", 0) + 1)
            print(perper.get_agent(), await perper.call("Double", 21), perper.get_state("n"))
            print(await perper.call_agent(perper.PerperAgent("notebook", "notebook-Main"), "Double", "ab"))
            await running.stop()

        asyncio.run(main())
        """
    )
    assert done.stdout.splitlines() == [
        "PerperAgent(agent='notebook', instance='notebook-Main') 42 1",
        "abab",
    ]


def test_the_modules_of_0_8_are_there():
    import perper
    from perper import application, extensions, model

    for module in (application, extensions, model):
        for name in set(module.__all__) & set(perper.__all__):
            assert getattr(module, name) is getattr(perper, name)
    assert {"run", "run_notebook", "register_delegate"} <= set(application.__all__)
    assert {"PerperAgent", "PerperStream"} <= set(model.__all__)
    assert len(extensions.__all__) == 17
