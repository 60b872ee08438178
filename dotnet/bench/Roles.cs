using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Runtime.CompilerServices;
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
    /// <summary>What a process of the measurement does, through the same interfaces that users have.</summary>
    internal static class Roles
    {
        internal static Task RunAsync(JsonObject role)
        {
            var (name, parameters) = role.Single();
            var given = parameters!.AsObject();
            return name switch
            {
                "worker" => WorkAsync(given),
                "caller" => CallAsync(given),
                "writer" => WriteAsync(given),
                "listeners" => ListenAsync(given),
                _ => throw new ArgumentException($"there is no role {name}"),
            };
        }

        private static string Text(this JsonObject given, string name) => given[name]!.GetValue<string>();

        private static int Number(this JsonObject given, string name) => given[name]!.GetValue<int>();

        private static Task<FabricService> ConnectAsync(JsonObject given) => PerperContext.ConnectAsync(new FabricConfiguration { Endpoint = given.Text("endpoint") });

        private static void Ready() => Console.WriteLine("ready");

        /// <summary>Waits until the input has a line, or is over.</summary>
        private static Task BeginAsync() => Task.Run(Console.In.ReadLine);

        /// <summary>Waits for the end of the input.</summary>
        private static Task EndAsync() => Task.Run(Console.In.ReadToEnd);

        /// <summary>An argument or item that takes that many bytes when it is encoded.</summary>
        private static string Sized(int bytes) => new('x', bytes - 2);

        private static void Told(long count, double seconds) => Console.WriteLine(new JsonObject { ["count"] = count, ["seconds"] = seconds }.ToJsonString());

        /// <summary>When to count: in clock ticks.</summary>
        private readonly struct Window
        {
            private readonly long from;
            private readonly long until;

            internal Window(JsonObject given)
            {
                static double Seconds(JsonNode duration) => duration["secs"]!.GetValue<long>() + duration["nanos"]!.GetValue<long>() / 1e9;
                Length = Seconds(given["window"]!["measure"]!);
                from = Stopwatch.GetTimestamp() + (long)(Seconds(given["window"]!["warm_up"]!) * Stopwatch.Frequency);
                until = from + (long)(Length * Stopwatch.Frequency);
            }

            internal double Length { get; }

            internal bool Counts(long now) => now >= from && now < until;

            internal bool IsOver(long now) => now >= until;
        }

        private static async Task WorkAsync(JsonObject given)
        {
            using var host = new HostBuilder()
                .ConfigureServices(services => services.Configure<PerperConfiguration>(options =>
                {
                    options.FabricEndpoint = given.Text("endpoint");
                    options.Concurrency = 4096;
                }))
                .ConfigurePerper(perper => perper.AddHandler(given.Text("agent"), "Echo", (string text) => text))
                .Build();
            await host.StartAsync();
            Ready();
            await EndAsync();
            await host.StopAsync();
        }

        private static async Task CallAsync(JsonObject given)
        {
            await using var fabric = await ConnectAsync(given);
            var agent = new PerperAgent(given.Text("agent"), "");
            var argument = Sized(given.Number("bytes"));
            Ready();
            await BeginAsync();
            var window = new Window(given);
            var counts = await Task.WhenAll(Enumerable.Range(0, given.Number("in_flight")).Select(_ => Task.Run(async () =>
            {
                long count = 0;
                for (var now = 0L; !window.IsOver(now);)
                {
                    var result = await agent.CallAsync<string>("Echo", argument);
                    if (result.Length != argument.Length)
                    {
                        throw new InvalidOperationException("a call returned something else");
                    }

                    now = Stopwatch.GetTimestamp();
                    count += window.Counts(now) ? 1 : 0;
                }

                return count;
            })));
            Told(counts.Sum(), window.Length);
        }

        private static async Task WriteAsync(JsonObject given)
        {
            await using var fabric = await ConnectAsync(given);
            using var stop = new CancellationTokenSource();
            var stream = new PerperStream(given.Text("stream"), -1, 0, false);
            Ready();
            await BeginAsync();
            var writing = Task.Run(() => fabric.Streams.WriteItemsAsync(stream, Endless(Sized(given.Number("bytes")), stop.Token)));
            await EndAsync();
            stop.Cancel();
            await Task.WhenAny(writing, Task.Delay(TimeSpan.FromSeconds(5)));
        }

        private static async IAsyncEnumerable<string> Endless(string item, [EnumeratorCancellation] CancellationToken token)
        {
            while (!token.IsCancellationRequested)
            {
                yield return item;
            }

            await Task.CompletedTask;
        }

        private static async Task ListenAsync(JsonObject given)
        {
            await using var fabric = await ConnectAsync(given);
            var stream = new PerperStream(given.Text("stream"), -1, 0, false);
            var items = stream.Replay().EnumerateAsync<string>();
            await using var enumerator = items.GetAsyncEnumerator();
            var first = enumerator.MoveNextAsync();
            await fabric.Streams.WaitForListenerAsync(stream);
            Ready();
            await BeginAsync();
            var window = new Window(given);
            var (count, since) = (0L, 0L);
            for (var more = await first; more; more = await enumerator.MoveNextAsync())
            {
                since += enumerator.Current.Length > 0 ? 1 : 0;
                // The clock costs as much as an item, so it is read now and then.
                if (since < 256)
                {
                    continue;
                }

                var now = Stopwatch.GetTimestamp();
                if (window.IsOver(now))
                {
                    break;
                }

                count += window.Counts(now) ? since : 0;
                since = 0;
            }

            Told(count, window.Length);
            // It stays until the writer has stopped.
            await EndAsync();
        }
    }
}
