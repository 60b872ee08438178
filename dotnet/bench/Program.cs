using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Text.Json.Nodes;
using System.Threading;
using System.Threading.Tasks;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

using Perper.Application;
using Perper.Extensions;
using Perper.Model;
using Perper.Protocol;

namespace Perper.Bench
{
    /// <summary>
    /// How fast .NET is beside Rust, in one run: calls with 256 in flight, and items of 100 B, in both directions. The
    /// other side is a role of perper-bench; so is what is compared with, Rust to Rust.
    /// </summary>
    internal static class Program
    {
        private const int InFlight = 256;
        private static readonly string Argument = new('x', 98);
        private static double seconds = 3;
        private static string endpoint = "";
        private static string bench = "";

        private static async Task Main(string[] args)
        {
            (endpoint, bench) = (args[0], args[1]);
            seconds = args.Length > 2 ? double.Parse(args[2], CultureInfo.InvariantCulture) : seconds;
            await using var fabric = await FabricService.ConnectAsync(new FabricConfiguration { Endpoint = endpoint });

            using var rustWorker = await Role.StartAsync("worker", new JsonObject { ["agent"] = "Rust" });
            var rust = await CallFromRustAsync("Rust");
            Print("calls, Rust to Rust", rust);
            Print("calls, .NET to Rust", await CallFromDotnetAsync(fabric, "Rust"), rust);

            using (var host = new HostBuilder()
                .ConfigurePerper(perper => perper.AddHandler("Dotnet", "Echo", (string text) => text))
                .ConfigureServices(services => services.Configure<PerperConfiguration>(options =>
                {
                    options.FabricEndpoint = endpoint;
                    options.Concurrency = 4096;
                }))
                .Build())
            {
                await host.StartAsync();
                Print("calls, Rust to .NET", await CallFromRustAsync("Dotnet"), rust);
                await host.StopAsync();
            }

            var items = await ItemsAsync(fabric, rustWrites: true, rustReads: true);
            Print("items of 100 B, Rust to Rust", items);
            Print("items of 100 B, Rust to .NET", await ItemsAsync(fabric, rustWrites: true, rustReads: false), items);
            Print("items of 100 B, .NET to Rust", await ItemsAsync(fabric, rustWrites: false, rustReads: true), items);
            Values();
        }

        private static void Print(string what, double rate, double? beside = null) =>
            Console.WriteLine(FormattableString.Invariant($"{what,-32} {rate,12:N0} /s") + (beside is { } other ? FormattableString.Invariant($"   {rate / other:P0} of Rust to Rust") : ""));

        private static async Task<double> CallFromRustAsync(string agent)
        {
            using var caller = await Role.StartAsync("caller", new JsonObject { ["agent"] = agent, ["in_flight"] = InFlight, ["bytes"] = 100, ["window"] = Role.Window(seconds) });
            return await caller.MeasureAsync(seconds);
        }

        private static async Task<double> CallFromDotnetAsync(FabricService fabric, string agent)
        {
            var instance = new PerperAgent(agent, "");
            long count = 0;
            var (open, measuring) = (true, false);
            var callers = Enumerable.Range(0, InFlight).Select(_ => Task.Run(async () =>
            {
                while (Volatile.Read(ref open))
                {
                    await fabric.CallAsync<string>(instance, "Echo", Argument);
                    if (Volatile.Read(ref measuring))
                    {
                        Interlocked.Increment(ref count);
                    }
                }
            })).ToArray();
            var rate = await DuringAsync(() => Volatile.Write(ref measuring, true), () => Interlocked.Read(ref count));
            Volatile.Write(ref open, false);
            await Task.WhenAll(callers);
            return rate;
        }

        /// <summary>Warms up, then counts for as long as was asked for.</summary>
        private static async Task<double> DuringAsync(Action begin, Func<long> count)
        {
            await Task.Delay(TimeSpan.FromSeconds(1));
            begin();
            var started = Stopwatch.GetTimestamp();
            await Task.Delay(TimeSpan.FromSeconds(seconds));
            return count() / Stopwatch.GetElapsedTime(started).TotalSeconds;
        }

        private static async Task<double> ItemsAsync(FabricService fabric, bool rustWrites, bool rustReads)
        {
            var stream = await fabric.Streams.CreateAsync(new PerperStreamOptions { BacklogItems = (64 << 20) / 100 });
            using var stop = new CancellationTokenSource();
            long count = 0;
            var measuring = false;
            Role? listener = null;
            var reading = Task.CompletedTask;
            if (rustReads)
            {
                listener = await Role.StartAsync("listeners", new JsonObject { ["stream"] = stream.Stream, ["count"] = 1, ["window"] = Role.Window(seconds) });
            }
            else
            {
                reading = Task.Run(async () =>
                {
                    await foreach (var item in fabric.EnumerateAsync<string>(stream.Replay(), null, stop.Token))
                    {
                        if (measuring && item.Length > 0)
                        {
                            Volatile.Write(ref count, count + 1);
                        }
                    }
                });
                await fabric.Streams.WaitForListenerAsync(stream);
            }

            Role? writer = null;
            var writing = Task.CompletedTask;
            if (rustWrites)
            {
                writer = await Role.StartAsync("writer", new JsonObject { ["stream"] = stream.Stream, ["bytes"] = 100 });
                await writer.BeginAsync();
            }
            else
            {
                writing = Task.Run(() => fabric.Streams.WriteItemsAsync(stream, Endless(stop.Token)));
            }

            var rate = listener is not null
                ? await listener.MeasureAsync(seconds)
                : await DuringAsync(() => Volatile.Write(ref measuring, true), () => Volatile.Read(ref count));
            stop.Cancel();
            writer?.Dispose();
            try
            {
                await Task.WhenAll(writing, reading);
            }
            catch (OperationCanceledException)
            {
                // As was asked for.
            }

            listener?.Dispose();
            await fabric.Streams.DestroyAsync(stream);
            return rate;
        }

        private static async IAsyncEnumerable<string> Endless([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken token)
        {
            while (!token.IsCancellationRequested)
            {
                yield return Argument;
            }

            await Task.CompletedTask;
        }

        private sealed record Person(string Name, int Age, double Height, string[] Tags);

        /// <summary>What an object costs: written and read, per object.</summary>
        private static void Values()
        {
            var person = new Person("Ada Lovelace", 36, 1.7, new[] { "first", "programmer" });
            var encoded = PerperValues.Serialize(person);
            const int Count = 300_000;
            for (var warm = 0; warm < 2; warm++)
            {
                var started = Stopwatch.GetTimestamp();
                for (var index = 0; index < Count; index++)
                {
                    PerperValues.Serialize(person);
                }

                var written = Stopwatch.GetElapsedTime(started);
                started = Stopwatch.GetTimestamp();
                for (var index = 0; index < Count; index++)
                {
                    PerperValues.DeserializeTrusted<Person>(encoded);
                }

                if (warm == 1)
                {
                    var read = Stopwatch.GetElapsedTime(started);
                    Console.WriteLine(FormattableString.Invariant($"a record of four members, {encoded.Length} B: {written.TotalMilliseconds * 1e6 / Count:N0} ns to write, {read.TotalMilliseconds * 1e6 / Count:N0} ns to read"));
                }
            }
        }

        /// <summary>A process of perper-bench.</summary>
        private sealed class Role : IDisposable
        {
            private readonly Process process;

            private Role(Process process) => this.process = process;

            internal static JsonObject Window(double seconds) => new() { ["warm_up"] = Duration(1), ["measure"] = Duration(seconds) };

            private static JsonObject Duration(double seconds) => new() { ["secs"] = (long)seconds, ["nanos"] = (long)(seconds % 1 * 1e9) };

            internal static async Task<Role> StartAsync(string name, JsonObject parameters)
            {
                parameters["endpoint"] = endpoint;
                var process = Process.Start(new ProcessStartInfo(bench)
                {
                    ArgumentList = { "role", new JsonObject { [name] = parameters }.ToJsonString() },
                    RedirectStandardInput = true,
                    RedirectStandardOutput = true,
                })!;
                var ready = await process.StandardOutput.ReadLineAsync();
                return ready?.StartsWith("ready", StringComparison.Ordinal) == true ? new Role(process) : throw new InvalidOperationException($"{bench} role {name} said {ready ?? "nothing"}");
            }

            internal Task BeginAsync() => process.StandardInput.WriteLineAsync("begin").ContinueWith(_ => process.StandardInput.Flush(), TaskScheduler.Default);

            internal async Task<double> MeasureAsync(double seconds)
            {
                await BeginAsync();
                var measured = JsonNode.Parse((await process.StandardOutput.ReadLineAsync())!)!;
                return measured["count"]!.GetValue<double>() / seconds;
            }

            public void Dispose()
            {
                process.StandardInput.Close();
                process.WaitForExit();
                process.Dispose();
            }
        }
    }
}
