using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using System.Threading.Tasks;

using Perper.Model;
using Perper.Protocol;

namespace Perper.Bench
{
    /// <summary>
    /// How fast .NET is beside Rust, in one run: calls with 256 in flight in every pairing, and items of 100 B in both
    /// directions. Server, caller, worker, writer and listener are processes of their own; those in Rust are roles of
    /// perper-bench, those in .NET are roles of this program (<see cref="Roles"/>), so that both sides do the same.
    /// </summary>
    internal static class Program
    {
        private const int InFlight = 256;
        private const int Bytes = 100;
        private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(2);

        private static string programs = "target/release";
        private static double seconds = 3;
        private static int rounds = 1;
        private static string only = "calls,items,values";

        private static async Task Main(string[] args)
        {
            if (args.Length == 2 && args[0] == "role")
            {
                await Roles.RunAsync(JsonNode.Parse(args[1])!.AsObject());
                return;
            }

            for (var index = 0; index + 1 < args.Length; index += 2)
            {
                switch (args[index])
                {
                    case "--programs":
                        programs = args[index + 1];
                        break;
                    case "--seconds":
                        seconds = double.Parse(args[index + 1], CultureInfo.InvariantCulture);
                        break;
                    case "--rounds":
                        rounds = int.Parse(args[index + 1], CultureInfo.InvariantCulture);
                        break;
                    case "--only":
                        only = args[index + 1];
                        break;
                    default:
                        throw new ArgumentException($"there is no {args[index]}; there are --programs, --seconds, --rounds and --only calls,items,values");
                }
            }

            if (only.Contains("calls", StringComparison.Ordinal))
            {
                await MeasureAsync("calls, 256 in flight", CallsAsync, both: true, pair => pair == (false, false) ? ">= 70 %" : "");
            }

            if (only.Contains("items", StringComparison.Ordinal))
            {
                await MeasureAsync("items of 100 B", ItemsAsync, both: false, pair => pair == (true, true) ? "" : ">= 1,000,000/s");
            }

            if (only.Contains("values", StringComparison.Ordinal))
            {
                Values.Measure();
            }
        }

        /// <summary>Every pairing in turn, as often as there are rounds; of the rounds, the middle one counts.</summary>
        private static async Task MeasureAsync(string what, Func<bool, bool, Task<Figure>> measure, bool both, Func<(bool, bool), string> target)
        {
            var pairs = new List<(bool FromRust, bool ToRust)> { (true, true), (false, true), (true, false) };
            if (both)
            {
                pairs.Add((false, false));
            }

            var figures = pairs.ToDictionary(pair => pair, _ => new List<Figure>());
            var ratios = pairs.ToDictionary(pair => pair, _ => new List<double>());
            for (var round = 0; round < rounds; round++)
            {
                foreach (var pair in pairs)
                {
                    var figure = await measure(pair.FromRust, pair.ToRust);
                    figures[pair].Add(figure);
                    // Beside Rust's figure of the same round, since what else runs on the machine changes.
                    ratios[pair].Add(figure.Rate / figures[(true, true)][round].Rate);
                }
            }

            Console.WriteLine("| figure | measured | beside Rust to Rust | target | processor time of one |");
            Console.WriteLine("| --- | --- | --- | --- | --- |");
            foreach (var pair in pairs)
            {
                var name = $"{what}, {(pair.FromRust ? "Rust" : ".NET")} to {(pair.ToRust ? "Rust" : ".NET")}";
                var figure = Middle(figures[pair], figure => figure.Rate);
                Console.WriteLine(FormattableString.Invariant($"| {name} | {figure.Rate:N0}/s | {Middle(ratios[pair], ratio => ratio):P0} | {target(pair)} | {figure.Costs} |"));
            }

            Console.WriteLine();
        }

        private static T Middle<T>(IEnumerable<T> of, Func<T, double> by)
        {
            var ordered = of.OrderBy(by).ToList();
            return ordered[ordered.Count / 2];
        }

        /// <summary>What was measured: how many a second, and what one took of the processors, by process.</summary>
        private sealed record Figure(double Rate, string Costs);

        private static async Task<Figure> CallsAsync(bool fromRust, bool toRust)
        {
            using var server = await RoleProcess.ServerAsync(programs);
            using var worker = await server.StartAsync(toRust, "worker", new JsonObject { ["agent"] = "Echo" });
            using var caller = await server.StartAsync(fromRust, "caller", new JsonObject
            {
                ["agent"] = "Echo",
                ["in_flight"] = InFlight,
                ["bytes"] = Bytes,
                ["window"] = Window(),
            });
            return await MeasureAsync(caller, ("server", server), ("worker", worker), ("caller", caller));
        }

        private static async Task<Figure> ItemsAsync(bool fromRust, bool toRust)
        {
            using var server = await RoleProcess.ServerAsync(programs);
            await using var fabric = await FabricService.ConnectAsync(new FabricConfiguration { Endpoint = server.Endpoint });
            // As perper-bench has it: a bound on what is unread, so that a fast writer waits for a slow listener.
            var stream = await fabric.Streams.CreateAsync(new PerperStreamOptions { BacklogItems = (64 << 20) / Bytes });
            using var listener = await server.StartAsync(toRust, "listeners", new JsonObject { ["stream"] = stream.Stream, ["count"] = 1, ["window"] = Window() });
            using var writer = await server.StartAsync(fromRust, "writer", new JsonObject { ["stream"] = stream.Stream, ["bytes"] = Bytes });
            await writer.BeginAsync();
            var figure = await MeasureAsync(listener, ("server", server), ("writer", writer), ("listener", listener));
            // The writer first: to a stream that is gone it could not write.
            writer.End();
            listener.End();
            await fabric.Streams.DestroyAsync(stream);
            return figure;
        }

        private static JsonObject Window()
        {
            static JsonObject Duration(TimeSpan time) => new() { ["secs"] = (long)time.TotalSeconds, ["nanos"] = time.Ticks % TimeSpan.TicksPerSecond * 100 };
            return new() { ["warm_up"] = Duration(WarmUp), ["measure"] = Duration(TimeSpan.FromSeconds(seconds)) };
        }

        private static async Task<Figure> MeasureAsync(RoleProcess measuring, params (string Name, RoleProcess Process)[] processes)
        {
            await measuring.BeginAsync();
            await Task.Delay(WarmUp);
            var before = processes.Select(it => it.Process.ProcessorTime()).ToArray();
            await Task.Delay(TimeSpan.FromSeconds(seconds));
            var after = processes.Select(it => it.Process.ProcessorTime()).ToArray();
            var measured = JsonNode.Parse(await measuring.LineAsync())!;
            var rate = measured["count"]!.GetValue<double>() / measured["seconds"]!.GetValue<double>();
            var costs = processes.Select((it, index) => (it.Name, Cost: (after[index] - before[index]).TotalMicroseconds / (rate * seconds))).ToArray();
            var each = string.Join(", ", costs.Select(cost => FormattableString.Invariant($"{cost.Name} {cost.Cost:F2}")));
            return new(rate, FormattableString.Invariant($"{costs.Sum(cost => cost.Cost):F2} µs: {each}"));
        }
    }
}
