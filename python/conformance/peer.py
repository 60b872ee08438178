"""The peer for Python: does what `conformance/README.md` says."""

import asyncio
import json
import sys

from agent import described, gate, line
from notation import from_json, to_json

import perper


class CommandError(Exception):
    """This peer does not understand a command."""


class Peer:
    def __init__(self):
        self.under_way = {}
        self.serving = None

    async def serve(self):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=64 << 20)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while text := await reader.readline():
            command = json.loads(text)
            self.under_way[command["id"]] = asyncio.create_task(self.answer(command))

    async def answer(self, command):
        try:
            answer = await outcome(self.execute(command))
        except asyncio.CancelledError:
            answer = {"error": {"kind": "CANCELLED", "message": "the harness cancelled the command"}}
        del self.under_way[command["id"]]
        line({"id": command["id"], **answer})

    async def execute(self, command):
        """What concerns the process itself; the rest may come from within a handler as well."""
        match command["do"]:
            case "connect":
                await perper.connect()
            case "serve":
                self.serving = await described().start()
            case "shut_down":
                if self.serving is not None:
                    serving, self.serving = self.serving, None
                    await serving.stop()
                return None
            case "hold":
                gate.open.clear()
                return None
            case "release":
                gate.open.set()
                return None
            case "cancel":
                task = self.under_way.get(command["target"])
                return task is not None and task.cancel()
            case _:
                return await run_command(command)
        return {"language": "python", "version": perper.__version__}


async def outcome(awaitable):
    try:
        return {"ok": await awaitable}
    except perper.PerperError as error:
        return {"error": error_json(error)}
    except (CommandError, TypeError, KeyError, AttributeError) as error:
        return {"error": {"kind": "COMMAND", "message": repr(error)}}


def error_json(error):
    if isinstance(error, perper.ExecutionError):
        return {"kind": error.reason, "type": error.type, "message": error.message}
    return {"kind": error.reason, "message": error.message}


async def run_command(command):
    command = dict(command)
    if "timeout" in command:
        with perper.timeout(command.pop("timeout")):
            return await run_command(command)
    function = COMMANDS.get(command["do"])
    if function is None:
        raise CommandError(f"this peer has no command {command['do']!r}")
    return await function(command)


def arguments(command):
    return [from_json(one) for one in command.get("arguments") or []]


def result_list(results):
    if results is None:
        return []
    several = list(results) if type(results) is tuple else [results]
    while several and several[-1] is None:
        several.pop()
    return [to_json(one) for one in several]


async def call(command):
    if "agent" in command:
        results = await from_json(command["agent"]).call(command["delegate"], *arguments(command))
    else:
        results = await perper.call(command["delegate"], *arguments(command))
    return result_list(results)


async def start_agent(command):
    agent, results = await perper.start_agent(command["agent"], *arguments(command))
    return {"agent": to_json(agent), "results": result_list(results)}


async def stop_agent(command):
    return await from_json(command["agent"]).stop()


async def context(_command):
    current = perper.context()
    return {
        "agent": current.agent,
        "instance": current.instance,
        "execution": {"$execution": current.execution} if current.execution else None,
        "attempt": current.attempt or None,
        "remaining": current.remaining,
        "traceparent": current.traceparent or None,
    }


def options(command):
    given = command.get("options") or {}
    made = {"ephemeral": not given.get("persistent", False)}
    made |= {name: given[name] for name in ("action", "packed", "first_key", "backlog") if name in given}
    return made


async def start_stream(command):
    return to_json(await perper.start_stream(command["delegate"], *arguments(command), **options(command)))


async def create_blank_stream(command):
    return to_json(await perper.create_blank_stream(**options(command)))


declared = {}


async def declare_stream(command):
    stream, start = perper.declare_stream(command["delegate"], **options(command))
    declared[stream.stream] = start
    return to_json(await stream)


async def start_declared(command):
    start = declared.pop(from_json(command["stream"]).stream)
    return to_json(await start(*arguments(command)))


async def write(command):
    return await from_json(command["stream"]).write(from_json(command["item"]), command.get("key"))


async def complete(command):
    failure = command.get("failure") or (command.get("error") or {}).get("message")
    await from_json(command["stream"]).complete(None if failure is None else RuntimeError(failure))


async def wait_for_listener(command):
    await from_json(command["stream"]).wait_for_listener()


async def remove_listener(command):
    await from_json(command["stream"]).remove_listener(command["name"])


async def destroy_stream(command):
    await from_json(command["stream"]).destroy()


class Listener:
    def __init__(self, entries):
        self.entries = entries
        self.detached = asyncio.Event()

    async def take(self, count):
        keys, items, end = [], [], None
        detached = asyncio.ensure_future(self.detached.wait())
        try:
            while count is None or len(items) < count:
                following = asyncio.ensure_future(anext(self.entries))
                await asyncio.wait([following, detached], return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    await asyncio.wait([following])
                    end = "detached"
                    break
                try:
                    key, item = following.result()
                except StopAsyncIteration:
                    end = "detached" if self.detached.is_set() else "completed"
                    break
                except perper.PerperError as error:
                    end = {"error": error_json(error)}
                    break
                keys.append(key)
                items.append(to_json(item))
        finally:
            detached.cancel()
        if self.detached.is_set():
            self.entries.close()
        return {"keys": keys, "items": items, "end": end}


listeners = {}


async def listen(command):
    stream = from_json(command["stream"])
    match command.get("from"):
        case None:
            pass
        case "latest":
            stream = stream.latest()
        case "beginning":
            stream = stream.replay()
        case key:
            stream = stream.replay(key)
    listeners[command["listener"]] = Listener(stream.entries(command.get("name")))


async def take(command):
    return await listeners[command["listener"]].take(command.get("count"))


async def detach(command):
    listener = listeners.pop(command["listener"], None)
    if listener is None:
        return False
    listener.detached.set()
    listener.entries.close()
    return True


async def state(_command):
    return to_json(perper.state())


async def create_dictionary(command):
    return to_json(perper.create_dictionary(command.get("name"), detached=command.get("detached", False)))


async def create_list(command):
    return to_json(perper.create_list(command.get("name"), detached=command.get("detached", False)))


OPERANDS = {
    "get": ["key"],
    "set": ["key", "value"],
    "set_if_absent": ["key", "value"],
    "replace_if_equal": ["key", "expected", "value"],
    "get_and_replace": ["key", "value"],
    "get_and_remove": ["key"],
    "remove": ["key"],
    "remove_if_equal": ["key", "expected"],
    "contains": ["key"],
    "count": [],
    "clear": [],
    "destroy": [],
}
LIST_OPERANDS = {
    "add": ["value"],
    "pop": [],
    "dequeue": [],
    "insert_at": ["index", "value"],
    "remove_at": ["index"],
    "get_at": ["index"],
    "set_at": ["index", "value"],
    "index_of": ["value"],
    "contains": ["value"],
    "remove": ["value"],
    "count": [],
    "clear": [],
    "destroy": [],
}


def operands(step, names):
    return [from_json(step.get(name)) for name in names]


async def dictionary(command):
    of, operation = from_json(command["dictionary"]), command["operation"]
    if operation == "entries":
        return [[to_json(key), to_json(value)] async for key, value in of.items()]
    if operation == "batch":
        batch = of.batch()
        for step in command["operations"]:
            getattr(batch, step["operation"])(*operands(step, OPERANDS[step["operation"]]))
        return await batch.apply()
    return to_json(await getattr(of, operation)(*operands(command, OPERANDS[operation])))


async def list_(command):
    of, operation = from_json(command["list"]), command["operation"]
    if operation == "elements":
        return [to_json(element) async for element in of.items()]
    return to_json(await getattr(of, operation)(*operands(command, LIST_OPERANDS[operation])))


COMMANDS = {
    "call": call,
    "start_agent": start_agent,
    "stop_agent": stop_agent,
    "context": context,
    "start_stream": start_stream,
    "create_blank_stream": create_blank_stream,
    "declare_stream": declare_stream,
    "start_declared": start_declared,
    "write": write,
    "complete": complete,
    "wait_for_listener": wait_for_listener,
    "remove_listener": remove_listener,
    "destroy_stream": destroy_stream,
    "listen": listen,
    "take": take,
    "detach": detach,
    "state": state,
    "create_dictionary": create_dictionary,
    "create_list": create_list,
    "dictionary": dictionary,
    "list": list_,
}

if __name__ == "__main__":
    # What the agent imports from here is this module, and not another copy of it.
    sys.modules["peer"] = sys.modules["__main__"]
    asyncio.run(Peer().serve())
