using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Text.Json.Nodes;
using System.Threading;
using System.Threading.Tasks;

using Microsoft.Extensions.Hosting;

using Perper.Application;
using Perper.Extensions;
using Perper.Model;

namespace Perper.Conformance
{
    /// <summary>The process: reads commands, has many of them under way, and answers each.</summary>
    internal static class Peer
    {
        private static readonly ConcurrentDictionary<ulong, CancellationTokenSource> UnderWay = new();
        private static IHost? host;

        internal static string Name { get; } = Environment.GetEnvironmentVariable("PERPER_CONFORMANCE_NAME") ?? "";

        private static async Task Main()
        {
            // Handlers and commands of many scenarios block nobody, but a cold pool grows slowly.
            ThreadPool.SetMinThreads(16, 16);
            TaskScheduler.UnobservedTaskException += (_, error) => Console.Error.WriteLine($"nobody has seen: {error.Exception}");
            while (await Console.In.ReadLineAsync() is { } line)
            {
                // Up to where it first waits, before the next one begins: `detach` must not overtake `take`.
                _ = AnswerAsync(Notation.Parse(line));
            }

            Environment.Exit(0);
        }

        private static async Task AnswerAsync(JsonObject command)
        {
            var id = command["id"]!.GetValue<ulong>();
            using var source = new CancellationTokenSource();
            UnderWay[id] = source;
            var answer = await OutcomeAsync(() => ExecuteAsync(command, source.Token));
            UnderWay.TryRemove(id, out _);
            answer["id"] = id;
            Output.Line(answer);
        }

        internal static async Task<JsonObject> OutcomeAsync(Func<Task<JsonNode?>> execute)
        {
            try
            {
                return new JsonObject { ["ok"] = await execute() };
            }
            catch (Exception error)
            {
                return new JsonObject { ["error"] = Output.Error(error) };
            }
        }

        private static async Task<JsonNode?> ExecuteAsync(JsonObject command, CancellationToken token)
        {
            switch (command["do"]!.GetValue<string>())
            {
                case "connect":
                    await PerperContext.ConnectAsync(cancellationToken: token);
                    return About();
                case "serve":
                    host = new HostBuilder().ConfigurePerper(perper => Agent.AddTo(perper)).Build();
                    await host.StartAsync(token);
                    return About();
                case "shut_down":
                    if (host is not null)
                    {
                        await host.StopAsync(token);
                        host.Dispose();
                        host = null;
                    }

                    return null;
                case "hold":
                    Gate.Hold();
                    return null;
                case "release":
                    Gate.Release();
                    return null;
                case "cancel":
                    var found = UnderWay.TryGetValue(command["target"]!.GetValue<ulong>(), out var target);
                    target?.Cancel();
                    return found;
                default:
                    return await Commands.ExecuteAsync(command, token);
            }
        }

        private static JsonObject About() => new()
        {
            ["language"] = "dotnet",
            ["version"] = typeof(PerperAgent).Assembly.GetName().Version?.ToString(3),
        };
    }

    /// <summary>Standard output: one JSON object a line, and nothing else.</summary>
    internal static class Output
    {
        private static readonly object Gate = new();

        internal static void Line(JsonObject json)
        {
            lock (Gate)
            {
                Console.Out.WriteLine(json.ToJsonString(Notation.Deep));
                Console.Out.Flush();
            }
        }

        /// <summary>Tells the harness of something that happened in a handler.</summary>
        internal static void Event(string name, JsonNode? detail = null) =>
            Line(new JsonObject { ["event"] = name, ["instance"] = PerperContext.Agent.Instance, ["detail"] = detail });

        internal static JsonObject Error(Exception error) => error switch
        {
            PerperExecutionException raised => new() { ["kind"] = raised.Reason, ["type"] = raised.Type, ["message"] = raised.Message },
            PerperException known => new() { ["kind"] = known.Reason, ["message"] = known.Message },
            OperationCanceledException => new() { ["kind"] = "CANCELLED", ["message"] = error.Message },
            CommandException => new() { ["kind"] = "COMMAND", ["message"] = error.Message },
            _ => new() { ["kind"] = "UNKNOWN", ["message"] = error.ToString() },
        };
    }

    /// <summary>A gate that the harness closes and opens, for handlers that wait at it.</summary>
    internal static class Gate
    {
        private static readonly object Lock = new();
        private static TaskCompletionSource? closed;

        internal static void Hold()
        {
            lock (Lock)
            {
                closed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        internal static void Release()
        {
            lock (Lock)
            {
                closed?.TrySetResult();
                closed = null;
            }
        }

        internal static Task PassAsync(CancellationToken token)
        {
            lock (Lock)
            {
                return closed?.Task.WaitAsync(token) ?? Task.CompletedTask;
            }
        }
    }
}
