using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

using Perper.Application;
using Perper.Extensions;
using Perper.Model;

using Xunit;

namespace Perper.Tests
{
    public class StreamTests
    {
        internal static async Task<List<T>> ListAsync<T>(IAsyncEnumerable<T> items)
        {
            var list = new List<T>();
            await foreach (var item in items)
            {
                list.Add(item);
            }

            return list;
        }

        private static async IAsyncEnumerable<int> Numbers(int count)
        {
            for (var number = 0; number < count; number++)
            {
                yield return number;
                await Task.Yield();
            }
        }

        private static async IAsyncEnumerable<(long, string)> Keyed(int count)
        {
            await Task.Yield();
            // Out of order: a packed stream puts them into it.
            for (var number = count - 1; number >= 0; number--)
            {
                yield return (number * 10, $"item {number}");
            }
        }

        private static async IAsyncEnumerable<int> Failing()
        {
            await Task.Yield();
            yield return 1;
            throw new InvalidOperationException("no more");
        }

        private static async IAsyncEnumerable<int> Squares(PerperStream numbers)
        {
            await foreach (var number in numbers.EnumerateAsync<int>())
            {
                yield return number * number;
            }
        }

        private static Task<Processes> StartAsync() => Processes.StartAsync(perper => perper
            .AddHandler("A", "Numbers", Numbers)
            .AddHandler("A", "Keyed", Keyed)
            .AddHandler("A", "Failing", Failing)
            .AddHandler("A", "Squares", Squares)
            .AddHandler("A", "Sum", async (int count) =>
            {
                var numbers = await PerperContext.CallAsync<PerperStream>("Numbers", count);
                var squares = await PerperContext.CallAsync<PerperStream>("Squares", numbers);
                return (await ListAsync(squares.EnumerateAsync<int>())).Sum();
            })
            .AddHandler("A", "Packed", async (int count) =>
            {
                var stream = await PerperContext.Stream("Keyed").Packed(10).Persistent().StartAsync(count);
                var items = await ListAsync(stream.Replay().EnumerateItemsAsync<string>());
                return items.Select(item => item.Key).SequenceEqual(Enumerable.Range(0, count).Select(number => number * 10L)) ? items.Count : -1;
            })
            .AddHandler("A", "Circle", async () =>
            {
                var first = PerperContext.Stream("Bounce").Persistent();
                var second = PerperContext.Stream("Bounce").Persistent();
                await first.StartAsync(second.Stream, true);
                await second.StartAsync(first.Stream, false);
                return (await ListAsync(first.Stream.Replay().EnumerateAsync<int>())).Concat(await ListAsync(second.Stream.Replay().EnumerateAsync<int>())).ToList();
            })
            .AddHandler("A", "Bounce", Bounce));

        private static async IAsyncEnumerable<int> Bounce(PerperStream other, bool begins)
        {
            if (begins)
            {
                yield return 0;
            }

            await foreach (var number in other.Replay().EnumerateAsync<int>())
            {
                if (number >= 6)
                {
                    yield break;
                }

                yield return number + 1;
            }
        }

        [Fact]
        public async Task AStreamOfAStreamArrivesWholeAndInOrder()
        {
            await using var processes = await StartAsync();
            Assert.Equal(Enumerable.Range(0, 1000).Sum(number => number * number), await processes.CallAsync<int>("A", "Sum", 1000));
        }

        [Fact]
        public async Task APackedStreamPutsItemsIntoTheOrderOfTheirKeys()
        {
            await using var processes = await StartAsync();
            Assert.Equal(100, await processes.CallAsync<int>("A", "Packed", 100));
        }

        [Fact]
        public async Task StreamsMayFeedEachOther()
        {
            await using var processes = await StartAsync();
            Assert.Equal(new List<int> { 0, 2, 4, 6, 1, 3, 5 }, await processes.CallAsync<List<int>>("A", "Circle"));
        }

        [Fact]
        public async Task TheErrorOfAGeneratorComesAfterItsItems()
        {
            await using var processes = await StartAsync();
            var stream = await processes.CallAsync<PerperStream>("A", "Failing");
            var seen = new List<int>();
            var error = await Assert.ThrowsAnyAsync<PerperException>(async () =>
            {
                await foreach (var number in processes.Client.EnumerateAsync<int>(stream))
                {
                    seen.Add(number);
                }
            });
            Assert.Equal(new[] { 1 }, seen);
            Assert.Contains("no more", error.Message);
        }

        [Fact]
        public async Task ABlankStreamIsWrittenByAnybodyAndEnded()
        {
            await using var processes = await Processes.StartAsync();
            var streams = processes.Client.Streams;
            var stream = await streams.CreateAsync(new PerperStreamOptions { Persistent = true });
            await streams.WriteItemAsync(stream, "first");
            await streams.WriteItemsAsync(stream, Numbers(3));
            await streams.CompleteAsync(stream);
            Assert.Equal(new List<object?> { "first", 0L, 1L, 2L }, await ListAsync(processes.Client.EnumerateAsync<object?>(stream.Replay())));
            Assert.Equal(2, streams.Query<object?>(stream.Replay()).Count(item => !"first".Equals(item)) - 1);
            await streams.DestroyAsync(stream);
        }

        [Fact]
        public async Task AKeyThatExistsWithAnotherItemIsRefusedByName()
        {
            await using var processes = await Processes.StartAsync();
            var streams = processes.Client.Streams;
            var stream = await streams.CreateAsync(new PerperStreamOptions { Persistent = true, Packed = true });
            await streams.WriteItemAsync(stream, 0, "one");
            var error = await Assert.ThrowsAsync<PerperException>(() => streams.WriteItemAsync(stream, 0, "other"));
            Assert.Equal("STREAM_KEY_EXISTS", error.Reason);
        }

        [Fact]
        public async Task ANamedListenerGoesOnWhereItWas()
        {
            await using var processes = await Processes.StartAsync();
            var streams = processes.Client.Streams;
            var stream = await streams.CreateAsync(new PerperStreamOptions { Persistent = true });
            await streams.WriteItemsAsync(stream, Numbers(10));
            await streams.CompleteAsync(stream);
            var seen = new List<int>();
            await foreach (var number in processes.Client.EnumerateAsync<int>(stream.Replay(), "reader"))
            {
                seen.Add(number);
                if (number == 4)
                {
                    // 4 has not been processed, so it comes again.
                    break;
                }
            }

            seen.AddRange(await ListAsync(processes.Client.EnumerateAsync<int>(stream.Replay(), "reader")));
            Assert.Equal(new[] { 0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9 }, seen);
            await streams.RemoveListenerAsync(stream, "reader");
        }

        [Fact]
        public async Task AWriterWaitsForAListener()
        {
            await using var processes = await Processes.StartAsync();
            var streams = processes.Client.Streams;
            var stream = await streams.CreateAsync(new PerperStreamOptions());
            var waiting = streams.WaitForListenerAsync(stream);
            using var source = new CancellationTokenSource();
            var reading = ListAsync(processes.Client.EnumerateAsync<int>(stream.Replay(), null, source.Token));
            await waiting;
            source.Cancel();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        }

        [Fact]
        public async Task AHundredThousandItemsPass()
        {
            await using var processes = await StartAsync();
            var stream = await processes.CallAsync<PerperStream>("A", "Numbers", 100_000);
            long sum = 0;
            await foreach (var number in processes.Client.EnumerateAsync<int>(stream))
            {
                sum += number;
            }

            Assert.Equal(99_999L * 100_000 / 2, sum);
        }
    }
}
