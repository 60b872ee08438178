using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using System.Threading.Tasks;

namespace Perper.Bench
{
    /// <summary>
    /// A process of the measurement. It says <c>ready</c>, begins at a line of its input, tells in JSON what it counted,
    /// and ends with its input: so do the roles of perper-bench, and so do those of this program.
    /// </summary>
    internal sealed class RoleProcess : IDisposable
    {
        private readonly Process process;
        private readonly string programs;
        private DirectoryInfo? folder;

        private RoleProcess(Process process, string programs, string endpoint)
        {
            this.process = process;
            this.programs = programs;
            Endpoint = endpoint;
        }

        /// <summary>Of the server that it is, or works with.</summary>
        internal string Endpoint { get; private set; }

        /// <summary>A Fabric with a data folder of its own.</summary>
        internal static async Task<RoleProcess> ServerAsync(string programs)
        {
            var folder = Directory.CreateTempSubdirectory("perper-bench-");
            var arguments = new[] { "--address", "127.0.0.1:0", "--data", folder.FullName, "--durability", "process" };
            var server = new RoleProcess(Start(Path.Combine(programs, "perper-fabric"), arguments), programs, "") { folder = folder };
            server.process.ErrorDataReceived += static (_, _) => { };
            server.process.BeginErrorReadLine();
            server.Endpoint = "http://" + (await server.LineAsync()).Split(' ').Last();
            return server;
        }

        /// <summary>Starts a role beside this server.</summary>
        internal async Task<RoleProcess> StartAsync(bool inRust, string name, JsonObject parameters)
        {
            parameters["endpoint"] = Endpoint;
            var role = new JsonObject { [name] = parameters }.ToJsonString();
            var started = inRust
                ? Start(Path.Combine(programs, "perper-bench"), "role", role)
                : Start(Environment.ProcessPath!, typeof(RoleProcess).Assembly.Location, "role", role);
            started.ErrorDataReceived += static (_, said) =>
            {
                if (said.Data is not null)
                {
                    Console.Error.WriteLine(said.Data);
                }
            };
            started.BeginErrorReadLine();
            var process = new RoleProcess(started, programs, Endpoint);
            var line = await process.LineAsync();
            return line.StartsWith("ready", StringComparison.Ordinal) ? process : throw new InvalidOperationException($"{name} said: {line}");
        }

        private static Process Start(string program, params string[] arguments)
        {
            var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
            foreach (var argument in arguments)
            {
                start.ArgumentList.Add(argument);
            }

            return Process.Start(start)!;
        }

        internal async Task<string> LineAsync() => await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromMinutes(2))
            ?? throw new InvalidOperationException($"{process.StartInfo.FileName} {string.Join(' ', process.StartInfo.ArgumentList)} ended early");

        internal async Task BeginAsync()
        {
            await process.StandardInput.WriteLineAsync("begin");
            await process.StandardInput.FlushAsync();
        }

        /// <summary>
        /// What its threads have had of the processors. From <c>schedstat</c>, which counts nanoseconds; nothing where
        /// there is none.
        /// </summary>
        internal TimeSpan ProcessorTime()
        {
            var tasks = new DirectoryInfo($"/proc/{process.Id}/task");
            var nanoseconds = 0.0;
            foreach (var task in tasks.Exists ? tasks.GetDirectories() : Array.Empty<DirectoryInfo>())
            {
                try
                {
                    nanoseconds += double.Parse(File.ReadAllText(Path.Combine(task.FullName, "schedstat")).Split(' ')[0], CultureInfo.InvariantCulture);
                }
                catch (IOException)
                {
                    // It ended meanwhile.
                }
            }

            return TimeSpan.FromMilliseconds(nanoseconds / 1e6);
        }

        /// <summary>Ends it orderly.</summary>
        internal void End()
        {
            if (folder is not null)
            {
                process.Kill();
            }

            process.StandardInput.Close();
            if (!process.WaitForExit(15_000))
            {
                process.Kill();
            }
        }

        public void Dispose()
        {
            End();
            process.Dispose();
            folder?.Delete(recursive: true);
        }
    }
}
