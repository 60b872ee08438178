using System;
using System.Threading.Tasks;

using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

using Perper.Application;
using Perper.Model;
using Perper.Protocol;
using Perper.Testing;

namespace Perper.Tests
{
    /// <summary>A Fabric and the agents of one test, each test with its own.</summary>
    internal sealed class Processes : IAsyncDisposable
    {
        private readonly EmbeddedFabric fabric;
        private IHost? host;

        private Processes(EmbeddedFabric fabric, FabricService client)
        {
            this.fabric = fabric;
            Client = client;
        }

        internal FabricService Client { get; }

        internal EmbeddedFabric Fabric => fabric;

        internal static async Task<Processes> StartAsync(Action<IPerperBuilder>? configure = null, Action<IServiceCollection>? services = null)
        {
            var fabric = await EmbeddedFabric.TemporaryAsync();
            var processes = new Processes(fabric, await fabric.ConnectAsync());
            if (configure is not null)
            {
                processes.host = await processes.AgentAsync(configure, services);
            }

            return processes;
        }

        /// <summary>Another agent process, in this one.</summary>
        internal async Task<IHost> AgentAsync(Action<IPerperBuilder> configure, Action<IServiceCollection>? services = null)
        {
            var host = new HostBuilder()
                .ConfigureServices(collection =>
                {
                    collection.Configure<PerperConfiguration>(options => options.FabricEndpoint = fabric.Endpoint);
                    services?.Invoke(collection);
                })
                .ConfigurePerper(configure)
                .Build();
            await host.StartAsync();
            return host;
        }

        internal Task<T> CallAsync<T>(string agent, string @delegate, params object?[] arguments) => Client.CallAsync<T>(new PerperAgent(agent, ""), @delegate, arguments);

        public async ValueTask DisposeAsync()
        {
            if (host is not null)
            {
                await host.StopAsync();
                host.Dispose();
            }

            await Client.DisposeAsync();
            await fabric.DisposeAsync();
        }
    }
}
