using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Perper.Application.Listeners;
using Perper.Model;

namespace Perper.Application
{
    /// <summary>Starts every listener with the host, and stops them with it.</summary>
    internal sealed class PerperHostedService : IHostedService, IAsyncDisposable
    {
        private readonly IServiceProvider services;
        private readonly AgentWorkers workers;
        private readonly CancellationTokenSource stopping = new();
        private IReadOnlyList<IPerperListener> listeners = Array.Empty<IPerperListener>();
        private Task logging = Task.CompletedTask;

        public PerperHostedService(IServiceProvider services, AgentWorkers workers)
        {
            this.services = services;
            this.workers = workers;
        }

        public async Task StartAsync(CancellationToken cancellationToken)
        {
            if (services.GetService<ILoggerFactory>() is { } factory)
            {
                logging = ForwardLogsAsync(factory, stopping.Token);
            }

            // Connecting may wait for a Fabric to come, and the container knows no asynchronous services.
            await Task.Run(() => services.GetRequiredService<IPerper>(), cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
            listeners = services.GetServices<IPerperListener>().ToArray();
            foreach (var listener in listeners)
            {
                await listener.StartAsync(cancellationToken).ConfigureAwait(false);
            }

            workers.ServeAll();
        }

        public async Task StopAsync(CancellationToken cancellationToken)
        {
            await Task.WhenAll(listeners.Select(listener => listener.StopAsync(cancellationToken))).ConfigureAwait(false);
            await workers.StopAllAsync(cancellationToken).ConfigureAwait(false);
            stopping.Cancel();
            await logging.ConfigureAwait(false);
        }

        /// <summary>What the native library has to say, in the application's own log.</summary>
        private static async Task ForwardLogsAsync(ILoggerFactory factory, CancellationToken cancellationToken)
        {
            using var logs = Protocol.Generated.Logs.Capture(Protocol.Generated.LogLevel.Info);
            var logger = factory.CreateLogger("Perper.Core");
            try
            {
                while (true)
                {
                    foreach (var record in await logs.NextAsync(cancellationToken).ConfigureAwait(false))
                    {
                        var level = record.Level switch
                        {
                            Protocol.Generated.LogLevel.Error => LogLevel.Error,
                            Protocol.Generated.LogLevel.Warn => LogLevel.Warning,
                            Protocol.Generated.LogLevel.Info => LogLevel.Information,
                            _ => LogLevel.Debug,
                        };
                        logger.Log(level, "{Message} ({Target})", record.Message, record.Target);
                    }
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                // The host stops.
            }
        }

        public ValueTask DisposeAsync()
        {
            stopping.Cancel();
            return default;
        }
    }
}
