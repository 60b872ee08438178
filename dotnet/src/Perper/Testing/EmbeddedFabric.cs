using System;
using System.Threading;
using System.Threading.Tasks;

using Perper.Protocol;

namespace Perper.Testing
{
    /// <summary>A Fabric in this process, on loopback and a free port: for tests, and for programs that need no server beside them.</summary>
    public sealed class EmbeddedFabric : IAsyncDisposable
    {
        private readonly Protocol.Generated.EmbeddedFabric fabric;

        private EmbeddedFabric(Protocol.Generated.EmbeddedFabric fabric) => this.fabric = fabric;

        /// <summary>Where it is: <c>http://127.0.0.1:port</c>.</summary>
        public string Endpoint => fabric.Endpoint();

        /// <summary>The configuration to connect to it.</summary>
        public FabricConfiguration Configuration => new() { Endpoint = Endpoint };

        /// <summary>Starts one that keeps everything in memory.</summary>
        public static Task<EmbeddedFabric> TemporaryAsync(CancellationToken cancellationToken = default) =>
            StartAsync(Protocol.Generated.EmbeddedFabric.TemporaryAsync(cancellationToken));

        /// <summary>Starts one that keeps everything in a folder, and finds it there again.</summary>
        public static Task<EmbeddedFabric> DurableAsync(string folder, CancellationToken cancellationToken = default) =>
            StartAsync(Protocol.Generated.EmbeddedFabric.DurableAsync(folder, cancellationToken));

        private static async Task<EmbeddedFabric> StartAsync(Task<Protocol.Generated.EmbeddedFabric> starting)
        {
            try
            {
                return new EmbeddedFabric(await starting.ConfigureAwait(false));
            }
            catch (Protocol.Generated.NativeErrorException error)
            {
                throw PortClient.Translate(error);
            }
        }

        /// <summary>Connects to it.</summary>
        public Task<FabricService> ConnectAsync(CancellationToken cancellationToken = default) => FabricService.ConnectAsync(Configuration, cancellationToken);

        /// <summary>Ends it: clients are told, what is in memory is brought to disk where there is a folder.</summary>
        public async ValueTask DisposeAsync()
        {
            try
            {
                await fabric.ShutdownAsync().ConfigureAwait(false);
            }
            finally
            {
                fabric.Dispose();
            }
        }
    }
}
