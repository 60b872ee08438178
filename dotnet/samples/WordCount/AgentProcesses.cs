using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Threading;
using System.Threading.Tasks;

using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Perper.Application;

namespace WordCount
{
    /// <summary>What a process does that serves one of the agents.</summary>
    internal static class AgentProcess
    {
        internal static async Task ServeAsync(string agent)
        {
            // It ends with its input: so also when whoever started it is gone.
            using var over = new CancellationTokenSource();
            _ = Task.Run(() =>
            {
                Console.In.ReadToEnd();
                over.Cancel();
            });
            await Host.CreateDefaultBuilder()
                .ConfigureLogging(logging => logging.SetMinimumLevel(LogLevel.Warning))
                .ConfigurePerper(perper => _ = agent switch
                {
                    "Reader" => perper.AddClassHandlers(agent, typeof(Reader)),
                    "Tokenizer" => perper.AddClassHandlers(agent, typeof(Tokenizer)),
                    "Counter" => perper.AddClassHandlers(agent, typeof(Counter)),
                    _ => throw new ArgumentException($"there is no agent {agent} here; there are Reader, Tokenizer and Counter"),
                })
                .Build()
                .RunAsync(over.Token);
        }
    }

    /// <summary>Agent processes that this one has started. They end with it.</summary>
    internal sealed class AgentProcesses : IAsyncDisposable
    {
        private readonly List<Process> processes = new();

        /// <summary>Starts a process that serves an agent. A scaler would start those by itself.</summary>
        internal void Start(string agent, string? program = null)
        {
            var start = new ProcessStartInfo(program ?? Environment.ProcessPath!) { RedirectStandardInput = true };
            if (program is null && Path.GetFileNameWithoutExtension(start.FileName) == "dotnet")
            {
                start.ArgumentList.Add(typeof(AgentProcesses).Assembly.Location);
            }

            start.ArgumentList.Add("--agent");
            start.ArgumentList.Add(agent);
            processes.Add(Process.Start(start)!);
        }

        /// <summary>Asks all of them to finish, and waits until they have; those that do not are ended.</summary>
        public async ValueTask DisposeAsync()
        {
            foreach (var process in processes)
            {
                process.StandardInput.Close();
            }

            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
            foreach (var process in processes)
            {
                try
                {
                    await process.WaitForExitAsync(patience.Token);
                }
                catch (OperationCanceledException)
                {
                    process.Kill();
                }

                process.Dispose();
            }
        }
    }
}
