using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

using Perper.Application;
using Perper.Model;
using Perper.Protocol;

using Xunit;
using Xunit.Abstractions;

namespace Perper.Tests
{
    /// <summary>
    /// Many calls and items through one process leave nothing behind. A short form runs with all tests;
    /// <c>PERPER_SOAK=10</c> in the environment makes it ten times as long: 200,000 calls and 1,000,000 items.
    /// </summary>
    public class SoakTests
    {
        private static readonly int Times = int.Parse(Environment.GetEnvironmentVariable("PERPER_SOAK") ?? "1", System.Globalization.CultureInfo.InvariantCulture);

        private readonly ITestOutputHelper output;

        public SoakTests(ITestOutputHelper output) => this.output = output;

        private static async IAsyncEnumerable<byte[]> Items(int count)
        {
            var item = new byte[98];
            for (var number = 0; number < count; number++)
            {
                yield return item;
            }

            await Task.Yield();
        }

        private static async Task RoundAsync(Processes processes, int calls, int items)
        {
            const int InFlight = 256;
            var left = calls;
            await Task.WhenAll(Enumerable.Range(0, InFlight).Select(async _ =>
            {
                while (Interlocked.Decrement(ref left) >= 0)
                {
                    await processes.CallAsync<long>("Soak", "Add", 1L, 2L);
                }
            }));
            var stream = await processes.CallAsync<PerperStream>("Soak", "Items", items);
            var seen = 0;
            await foreach (var _ in processes.Client.EnumerateAsync<byte[]>(stream))
            {
                seen++;
            }

            Assert.Equal(items, seen);
            await processes.Client.Streams.DestroyAsync(stream);
        }

        /// <summary>What is in use after each of three rounds, the least of it: what grows, grows at its least as well.</summary>
        private static async Task<(long Managed, long Resident)> LeastAsync(Processes processes, int calls, int items)
        {
            var least = (Managed: long.MaxValue, Resident: long.MaxValue);
            for (var round = 0; round < 3; round++)
            {
                await RoundAsync(processes, calls, items);
                var (managed, resident) = Memory();
                least = (Math.Min(least.Managed, managed), Math.Min(least.Resident, resident));
            }

            return least;
        }

        private static (long Managed, long Resident) Memory()
        {
            for (var pass = 0; pass < 3; pass++)
            {
                GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
                GC.WaitForPendingFinalizers();
            }

            using var process = Process.GetCurrentProcess();
            return (GC.GetTotalMemory(forceFullCollection: true), process.WorkingSet64);
        }

        [Fact(Timeout = 600_000)]
        public async Task NothingIsLeftBehind()
        {
            var unobserved = 0;
            EventHandler<UnobservedTaskExceptionEventArgs> count = (_, _) => Interlocked.Increment(ref unobserved);
            TaskScheduler.UnobservedTaskException += count;
            // What other tests have dropped is nobody's any more.
            Memory();
            var handles = FabricService.LiveHandles;
            try
            {
                await using (var processes = await Processes.StartAsync(perper => perper
                    .AddHandler("Soak", "Add", (long a, long b) => a + b)
                    .AddHandler("Soak", "Items", Items)))
                {
                    var (calls, items) = (2_500 * Times, 12_500 * Times);
                    await RoundAsync(processes, calls, items);
                    await RoundAsync(processes, calls, items);
                    var held = FabricService.LiveHandles;
                    var before = await LeastAsync(processes, calls, items);
                    var after = await LeastAsync(processes, calls, items);
                    output.WriteLine($"managed {before.Managed >> 10} KiB, then {after.Managed >> 10}; resident {before.Resident >> 20} MiB, then {after.Resident >> 20}; {held} handles");
                    Assert.Equal(held, FabricService.LiveHandles);
                    Assert.True(after.Managed - before.Managed < 2 << 20, $"managed memory grew from {before.Managed} to {after.Managed}");
                    // The Fabric is in this process as well, and what allocators keep for later comes and goes by tens of MiB.
                    Assert.True(after.Resident - before.Resident < 128 << 20, $"resident memory grew from {before.Resident} to {after.Resident}");
                    Assert.True(processes.Client.Held.IsEmpty);
                }

                Memory();
                Assert.InRange(FabricService.LiveHandles, 0, handles);
                Assert.Equal(0, unobserved);
            }
            finally
            {
                TaskScheduler.UnobservedTaskException -= count;
            }
        }
    }
}
