using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using System.Threading;
using System.Threading.Tasks;

using Perper.Application;
using Perper.Extensions;
using Perper.Model;

namespace Perper.Conformance
{
    /// <summary>The error that handlers of this agent raise.</summary>
    internal sealed class OutOfStock : Exception
    {
        internal OutOfStock(string what) : base($"no {what} left")
        {
        }
    }

    /// <summary>The agent that peers serve: each public method is a delegate.</summary>
    internal sealed class Agent
    {
        internal static void AddTo(IPerperBuilder perper) =>
            perper.AddClassHandlers(Environment.GetEnvironmentVariable("X_PERPER_AGENT")!, typeof(Agent));

        public static void Deploy() => Output.Event("deploy");

        public static void Upgrade() => Output.Event("upgrade");

        public static void EnterContainer() => Output.Event("enter");

        public static PerperResults Start(params object?[] arguments)
        {
            Output.Event("start");
            return arguments is { Length: 1 } && arguments[0] is "fail" ? throw new OutOfStock("instances") : new PerperResults(arguments);
        }

        public static void Stop() => Output.Event("stop");

        public static PerperResults Echo(params object?[] values) => new(values);

        public static void Nothing()
        {
        }

        public static string Join(string first, string second = "default") => $"{first}+{second}";

        public static void Buy(string what) => throw new OutOfStock(what);

        public static Task<PerperResults> ForwardAsync(string @delegate, params object?[] arguments) => PerperContext.CallAsync<PerperResults>(@delegate, arguments);

        public static Task<PerperResults> AskAsync(PerperAgent agent, string @delegate, params object?[] arguments) => agent.CallAsync<PerperResults>(@delegate, arguments);

        public static async Task WaitAsync(CancellationToken token)
        {
            Output.Event("running", PerperContext.Current.CurrentExecution.Execution);
            try
            {
                await Task.Delay(Timeout.Infinite, token);
            }
            finally
            {
                Output.Event("cancelled");
            }
        }

        public static async Task<(string, int)> WorkAsync(CancellationToken token)
        {
            Output.Event("working");
            await Gate.PassAsync(token);
            return (Peer.Name, PerperContext.Attempt);
        }

        /// <summary>Executes a command here, in the context of a handler.</summary>
        public static async Task<string> DoAsync(string command, CancellationToken token)
        {
            var outcome = await Peer.OutcomeAsync(() => Commands.ExecuteAsync(Notation.Parse(command), token));
            return outcome.ToJsonString(Notation.Deep);
        }

        public static async IAsyncEnumerable<long> NumbersAsync(long from, long to)
        {
            await Task.Yield();
            for (var number = from; number < to; number++)
            {
                yield return number;
            }
        }

        public static async IAsyncEnumerable<(long, object?)> KeyedAsync(List<(long, object?)> entries)
        {
            await Task.Yield();
            foreach (var entry in entries)
            {
                yield return entry;
            }
        }

        [PerperStreamOptions(Persistent = true, Packed = true)]
        public static IAsyncEnumerable<(long, object?)> PackedAsync(List<(long, object?)> entries) => KeyedAsync(entries);

        public static async IAsyncEnumerable<long> FailAfterAsync(long count)
        {
            await foreach (var number in NumbersAsync(0, count))
            {
                yield return number;
            }

            throw new OutOfStock("numbers");
        }

        public static async IAsyncEnumerable<long> HangAsync(long count, [EnumeratorCancellation] CancellationToken token)
        {
            Output.Event("running");
            try
            {
                await foreach (var number in NumbersAsync(0, count))
                {
                    yield return number;
                }

                await Task.Delay(Timeout.Infinite, token);
            }
            finally
            {
                Output.Event("cancelled");
            }
        }

        public static async IAsyncEnumerable<long> SquaresAsync(PerperStream stream)
        {
            await foreach (var number in stream.EnumerateAsync<long>())
            {
                yield return number * number;
            }
        }

        public static async IAsyncEnumerable<long> BounceAsync(PerperStream other, bool first)
        {
            if (first)
            {
                yield return 0;
            }

            await foreach (var number in other.Replay().EnumerateAsync<long>())
            {
                if (number + 1 >= 10)
                {
                    yield break;
                }

                yield return number + 1;
            }
        }

        [PerperStreamOptions(ResumeBySkipping = true)]
        public static async IAsyncEnumerable<long> ResumableAsync(long count, [EnumeratorCancellation] CancellationToken token)
        {
            for (long number = 0; number < count; number++)
            {
                if (number == 2)
                {
                    Output.Event("at the gate");
                    await Gate.PassAsync(token);
                }

                yield return number;
            }
        }

        public static async IAsyncEnumerable<(long, long)> ResumableKeyedAsync(long count, [EnumeratorCancellation] CancellationToken token)
        {
            await foreach (var number in ResumableAsync(count, token))
            {
                yield return (number * 10, number);
            }
        }
    }
}
