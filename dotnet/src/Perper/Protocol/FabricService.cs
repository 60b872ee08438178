using System;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Threading;
using System.Threading.Tasks;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>A connection to a Fabric. All of a process may share one.</summary>
    public sealed class FabricService : IPerper, IAsyncDisposable, IDisposable
    {
        // A name made of 128 random bits, with a number behind it: ids that nobody else makes.
        private readonly string idPrefix = Convert.ToHexString(RandomNumberGenerator.GetBytes(16)).ToLowerInvariant();
        private readonly Generated.Connection connection;
        private readonly PortClient port;
        private readonly ScopedPerper perper;
        private readonly ConcurrentDictionary<(string Instance, ulong Incarnation), bool> states = new();
        private long lastId;
        private int isDisposed;

        private FabricService(Generated.Connection connection, FabricConfiguration configuration)
        {
            this.connection = connection;
            Configuration = configuration;
            port = new PortClient(connection.OpenPort(), null);
            perper = new ScopedPerper(this, null);
            // A program that is no agent calls others all the same.
            DefaultScope = new Scope(this, port, new PerperAgent(configuration.Agent ?? Variable("X_PERPER_AGENT"), configuration.Instance ?? Variable("X_PERPER_INSTANCE")), new PerperExecution(""));
        }

        private static string Variable(string name) => Environment.GetEnvironmentVariable(name) ?? "";

        /// <summary>How it was configured.</summary>
        public FabricConfiguration Configuration { get; }

        /// <summary>Where the Fabric is.</summary>
        public string Endpoint => connection.Endpoint();

        /// <summary>The version of the Fabric, as it told when it was last connected to.</summary>
        public string? ServerVersion => connection.Server()?.Version;

        /// <inheritdoc />
        public IPerperExecutions Executions => perper;

        /// <inheritdoc />
        public IPerperAgents Agents => perper;

        /// <inheritdoc />
        public IPerperStreams Streams => perper;

        /// <inheritdoc />
        public IPerperStates States => perper;

        /// <summary>Where nothing else is set.</summary>
        internal Scope DefaultScope { get; set; }

        /// <summary>The executions that this process holds.</summary>
        internal ConcurrentDictionary<string, Scope> Held { get; } = new();

        /// <summary>Handles to objects in the native library that are alive in this process.</summary>
        internal static int LiveHandles => Generated.NativeHandle.Live;

        /// <summary>
        /// Connects. What the configuration leaves open comes from the environment (<c>PERPER_FABRIC_ENDPOINT</c>,
        /// <c>PERPER_TOKEN</c>, <c>PERPER_CA_FILE</c>), then from the defaults. Waits for a Fabric that is not there yet.
        /// </summary>
        public static async Task<FabricService> ConnectAsync(FabricConfiguration? configuration = null, CancellationToken cancellationToken = default)
        {
            configuration ??= new FabricConfiguration();
            var settings = new Generated.ConnectSettings(
                configuration.Endpoint,
                configuration.Token,
                configuration.CaFile,
                configuration.CertificateFile,
                configuration.KeyFile,
                (ulong)(configuration.ConnectTimeout?.TotalMilliseconds ?? 0),
                "perper-dotnet",
                "dotnet",
                typeof(FabricService).Assembly.GetName().Version?.ToString(3) ?? "");
            try
            {
                var connection = await Generated.PerperUniffiFunctions.ConnectAsync(settings, cancellationToken).ConfigureAwait(false);
                return new FabricService(connection, configuration);
            }
            catch (Generated.NativeErrorException.Failed error)
            {
                throw PortClient.Translate(error);
            }
        }

        /// <summary>An id that nobody else makes.</summary>
        internal string NewId() => $"{idPrefix}-{Interlocked.Increment(ref lastId)}";

        /// <summary>Starts an instance under an id of one's own, which belongs to nobody.</summary>
        internal Task StartInstanceAsync(PerperAgent instance) => perper.StartInstanceAsync<ScopedPerper.Nothing>(new PerperAgent("", ""), instance, Array.Empty<object?>());

        /// <summary>True the first time: the dictionary of an instance is created when it is first used.</summary>
        internal bool NeedsState(string instance, ulong incarnation) => states.TryAdd((instance, incarnation), true);

        internal void ForgetState(string instance, ulong incarnation) => states.TryRemove((instance, incarnation), out _);

        /// <summary>Begins to serve an agent.</summary>
        internal PortClient Serve(Generated.ServeSettings settings, Action<Activation> activated)
        {
            try
            {
                return new PortClient(connection.Serve(settings), activated);
            }
            catch (Generated.NativeErrorException.Failed error)
            {
                throw PortClient.Translate(error);
            }
        }

        /// <summary>Ends the session: what is reserved is given back, calls in flight are cancelled.</summary>
        public async ValueTask DisposeAsync()
        {
            if (Interlocked.Exchange(ref isDisposed, 1) != 0)
            {
                return;
            }

            try
            {
                await connection.CloseAsync().ConfigureAwait(false);
            }
            catch (Generated.NativeErrorException.Failed)
            {
                // A connection that cannot be closed well is lost, and what it held goes when its lease ends.
            }

            await port.DisposeAsync().ConfigureAwait(false);
            connection.Dispose();
        }

        /// <summary>As <see cref="DisposeAsync"/>, for containers that dispose synchronously; blocks until it is done.</summary>
        public void Dispose() => Task.Run(() => DisposeAsync().AsTask()).GetAwaiter().GetResult();
    }

    /// <summary>How to reach a Fabric. What is null comes from the environment, then from the defaults.</summary>
    public class FabricConfiguration
    {
        /// <summary><c>http://host:port</c>, or <c>https://host:port</c> for TLS.</summary>
        public string? Endpoint { get; set; }

        /// <summary>A bearer token to send with every request.</summary>
        public string? Token { get; set; }

        /// <summary>A file of PEM certificates to trust in place of the system's.</summary>
        public string? CaFile { get; set; }

        /// <summary>The client's certificate, a PEM file, for a Fabric that asks for mutual TLS; together with <see cref="KeyFile"/>.</summary>
        public string? CertificateFile { get; set; }

        /// <summary>The key of the certificate, a PEM file.</summary>
        public string? KeyFile { get; set; }

        /// <summary>Gives up connecting after this long; null waits for a Fabric to come.</summary>
        public TimeSpan? ConnectTimeout { get; set; }

        /// <summary>The agent that code outside of handlers belongs to; null: <c>X_PERPER_AGENT</c>, or none.</summary>
        public string? Agent { get; set; }

        /// <summary>The instance that code outside of handlers belongs to; null: <c>X_PERPER_INSTANCE</c>, or none.</summary>
        public string? Instance { get; set; }

        /// <summary>Every work group gets every execution; the processes of one group share them. Empty is the default group.</summary>
        public string Workgroup { get; set; } = "";

        /// <summary>Kept so that programs written for earlier versions compile; the Fabric decides where it stores.</summary>
        public string PersistentStreamDataRegion { get; set; } = "default";

        /// <summary>Kept so that programs written for earlier versions compile; the Fabric decides where it stores.</summary>
        public string EphemeralStreamDataRegion { get; set; } = "default";

        /// <summary>Kept so that programs written for earlier versions compile; the Fabric decides where it stores.</summary>
        public string StateDataRegion { get; set; } = "default";
    }
}
