using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading.Tasks;

using Xunit;

namespace Perper.Tests
{
    /// <summary>What becomes of executions when their process ends, one way or the other.</summary>
    public class ProcessTests
    {
        /// <summary>A process of its own that serves the agent <c>Work</c>.</summary>
        private sealed class Worker : IDisposable
        {
            private static readonly TimeSpan Patience = TimeSpan.FromSeconds(50);

            private readonly Process process;

            private Worker(Process process) => this.process = process;

            internal static async Task<Worker> StartAsync(Processes processes, string name, bool holds)
            {
                var folder = AppContext.BaseDirectory;
                var program = Path.Combine(folder, "Perper.Tests.Worker.dll");
                var own = Path.ChangeExtension(program, ".runtimeconfig.json");
                var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true, RedirectStandardOutput = true };
                // Where it was not built beside the tests, it runs as they do.
                var settings = File.Exists(own) ? own : Directory.GetFiles(folder, "*.runtimeconfig.json").Single();
                foreach (var argument in new[] { "exec", "--runtimeconfig", settings, program, name, holds ? "holds" : "answers" })
                {
                    start.ArgumentList.Add(argument);
                }

                start.Environment["PERPER_FABRIC_ENDPOINT"] = processes.Fabric.Endpoint;
                var worker = new Worker(Process.Start(start)!);
                await worker.SaysAsync("serving");
                return worker;
            }

            internal async Task SaysAsync(string line) => Assert.Equal(line, await process.StandardOutput.ReadLineAsync().WaitAsync(Patience));

            internal async Task LetOneGoOnAsync()
            {
                await process.StandardInput.WriteLineAsync();
                await process.StandardInput.FlushAsync();
            }

            /// <summary>SIGKILL.</summary>
            internal void Kill() => process.Kill();

            /// <summary>SIGTERM, which .NET itself cannot send.</summary>
            internal async Task TerminateAsync()
            {
                using var kill = Process.Start("kill", new[] { "-TERM", $"{process.Id}" });
                await kill.WaitForExitAsync().WaitAsync(Patience);
                Assert.Equal(0, kill.ExitCode);
            }

            internal async Task<int> EndAsync()
            {
                await process.WaitForExitAsync().WaitAsync(Patience);
                return process.ExitCode;
            }

            public void Dispose()
            {
                process.Kill();
                process.Dispose();
            }
        }

        [Fact(Timeout = 120_000)]
        public async Task TheExecutionsOfAKilledProcessMove()
        {
            await using var processes = await Processes.StartAsync();
            using var first = await Worker.StartAsync(processes, "first", holds: true);
            var calls = Enumerable.Range(0, 20).Select(_ => processes.CallAsync<string>("Work", "Do")).ToArray();
            foreach (var _ in calls)
            {
                await first.SaysAsync("begun");
            }

            using var second = await Worker.StartAsync(processes, "second", holds: false);
            first.Kill();
            Assert.All(await Task.WhenAll(calls), answer => Assert.Equal("second", answer));
        }

        [Fact(Timeout = 120_000)]
        public async Task AskedToEndAProcessFinishesWhatItHas()
        {
            if (OperatingSystem.IsWindows())
            {
                // There are no such signals.
                return;
            }

            await using var processes = await Processes.StartAsync();
            using var first = await Worker.StartAsync(processes, "first", holds: true);
            var begun = processes.CallAsync<string>("Work", "Do");
            await first.SaysAsync("begun");
            await first.TerminateAsync();
            await first.SaysAsync("stopping");
            using var second = await Worker.StartAsync(processes, "second", holds: false);
            await first.LetOneGoOnAsync();
            Assert.Equal("first", await begun);
            await first.SaysAsync("over");
            Assert.Equal(0, await first.EndAsync());
            // And what comes later is for others.
            Assert.Equal("second", await processes.CallAsync<string>("Work", "Do"));
        }
    }
}
