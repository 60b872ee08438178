// One agent that shows one thing after the other: calls, an action stream, a processor, two streams in a circle.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;

using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Perper.Application;
using Perper.Extensions;
using Perper.Model;

using var host = Host.CreateDefaultBuilder(args)
    .ConfigureLogging(logging => logging.SetMinimumLevel(LogLevel.Warning))
    .ConfigurePerper(perper => perper.AddClassHandlers<Basic>())
    .Build();
// From here on the agent's context is current: nothing needs a connection by name.
await host.StartAsync();

Console.WriteLine($"2 + 3 = {await PerperContext.CallAsync<long>("Add", 2, 3)}");

var (quotient, remainder) = await PerperContext.CallAsync<(long, long)>("Divide", 17, 5);
Console.WriteLine($"17 / 5 = {quotient}, remainder {remainder}");
try
{
    await PerperContext.CallAsync<(long, long)>("Divide", 1, 0);
}
catch (PerperExecutionException error)
{
    Console.WriteLine($"1 / 0: {error.Message}");
}

var words = new[] { "agent", "stream", "state" };
var found = await Task.WhenAll(PerperContext.CallAsync<string?>("Find", words, "str"), PerperContext.CallAsync<string?>("Find", words, "x"));
Console.WriteLine($"found {found[0] ?? "nothing"} and {found[1] ?? "nothing"}");

// The generator of an action starts by itself; to see that it has ended, one may still listen.
var ticks = await PerperContext.Stream("Tick").Persistent().Action().StartAsync(3);
var ticked = await ListAsync(ticks.Replay());
Console.WriteLine($"ticked {Shown(ticked)}, the state says {await PerperState.GetOrDefaultAsync<long>("ticks")}");

var numbers = await PerperContext.Stream("Numbers").StartAsync(25);
var sums = await PerperContext.Stream("Sums").StartAsync(numbers);
Console.WriteLine($"25 numbers in batches sum up to {(await ListAsync(sums)).Sum()}");

// A circle: asking for the reference of the first declares it, so that the second can be told of it. Both are persistent,
// since each has two listeners that start when they start: of an ephemeral stream, what one had processed would be gone
// for the other.
var first = PerperContext.Stream("Bounce").Persistent();
var pong = await PerperContext.Stream("Bounce").Persistent().StartAsync(first.Stream, false);
var ping = await first.StartAsync(pong, true);
Console.WriteLine($"ping {Shown(await ListAsync(ping.Replay()))}, pong {Shown(await ListAsync(pong.Replay()))}");

await host.StopAsync();

static async Task<List<long>> ListAsync(PerperStream stream)
{
    var items = new List<long>();
    await foreach (var item in stream.EnumerateAsync<long>())
    {
        items.Add(item);
    }

    return items;
}

static string Shown(IEnumerable<long> items) => $"[{string.Join(", ", items)}]";

/// <summary>The agent: each public method is a delegate of it.</summary>
public class Basic
{
    public long Add(long a, long b) => a + b;

    /// <summary>A tuple is several results.</summary>
    public (long Quotient, long Remainder) Divide(long a, long b) =>
        b != 0 ? (a / b, a % b) : throw new ArgumentException($"{a} cannot be divided by zero");

    public Task<string?> FindAsync(string[] words, string start) =>
        Task.FromResult(words.FirstOrDefault(word => word.StartsWith(start, StringComparison.Ordinal)));

    /// <summary>An action: it runs whether anybody listens or not. Here for what it leaves in the instance's state.</summary>
    public async IAsyncEnumerable<long> TickAsync(int times)
    {
        for (long number = 0; number < times; number++)
        {
            await PerperState.SetAsync("ticks", number + 1);
            yield return number;
        }
    }

    /// <summary>Numbers with keys of their own: whoever starts this again after a crash writes nothing twice.</summary>
    public async IAsyncEnumerable<(long Key, long Number)> NumbersAsync(int to)
    {
        for (long number = 0; number < to; number++)
        {
            yield return (number, number);
        }

        await Task.CompletedTask;
    }

    /// <summary>Sums of batches of ten items.</summary>
    public async IAsyncEnumerable<long> SumsAsync(PerperStream of)
    {
        var batch = new List<long>();
        await foreach (var number in of.Replay().EnumerateAsync<long>())
        {
            batch.Add(number);
            if (batch.Count == 10)
            {
                yield return batch.Sum();
                batch.Clear();
            }
        }

        if (batch.Count > 0)
        {
            yield return batch.Sum();
        }
    }

    /// <summary>Adds one to what the other says, until it is enough. The one that begins says 0.</summary>
    public async IAsyncEnumerable<long> BounceAsync(PerperStream other, bool begins)
    {
        if (begins)
        {
            yield return 0;
        }

        await foreach (var number in other.Replay().EnumerateAsync<long>())
        {
            if (number >= 6)
            {
                yield break;
            }

            yield return number + 1;
        }
    }
}
