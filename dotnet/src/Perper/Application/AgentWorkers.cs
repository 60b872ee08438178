using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

using Perper.Application.Listeners;
using Perper.Model;
using Perper.Protocol;

namespace Perper.Application
{
    /// <summary>The agents of this process: gathers their handlers while the host starts, then serves each over one port.</summary>
    internal sealed class AgentWorkers
    {
        private readonly IServiceProvider services;
        private readonly PerperConfiguration configuration;
        private readonly PerperListenerFilter filter;
        private readonly ILogger? logger;
        private readonly Dictionary<string, AgentHandlers> gathered = new();
        private readonly List<AgentWorker> workers = new();
        private bool isServing;

        public AgentWorkers(IServiceProvider services, IOptions<PerperConfiguration> options, PerperListenerFilter filter)
        {
            this.services = services;
            this.filter = filter;
            configuration = options.Value;
            logger = services.GetService<ILoggerFactory>()?.CreateLogger("Perper");
        }

        /// <summary>Whether this process is to serve an agent.</summary>
        internal bool Serves(string agent) => string.IsNullOrEmpty(filter.Agent) || filter.Agent == agent;

        /// <summary>Adds a handler; gives a worker of its own where the others are being served already.</summary>
        internal Task<AgentWorker?> AddAsync(HandlerPerperListener listener, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!Serves(listener.Agent))
            {
                return Task.FromResult<AgentWorker?>(null);
            }

            if (isServing)
            {
                var own = new AgentHandlers(listener.Agent);
                listener.AddTo(own);
                return Task.FromResult<AgentWorker?>(Serve(own));
            }

            if (!gathered.TryGetValue(listener.Agent, out var handlers))
            {
                handlers = gathered[listener.Agent] = new AgentHandlers(listener.Agent);
            }

            listener.AddTo(handlers);
            return Task.FromResult<AgentWorker?>(null);
        }

        internal void ServeAll()
        {
            isServing = true;
            foreach (var handlers in gathered.Values)
            {
                workers.Add(Serve(handlers));
            }
        }

        private AgentWorker Serve(AgentHandlers handlers)
        {
            var instance = string.IsNullOrEmpty(filter.Instance) ? null : filter.Instance;
            var worker = new AgentWorker((FabricService)services.GetRequiredService<IPerper>(), handlers, configuration, instance, logger);
            logger?.LogInformation("Serving agent {Agent}", handlers.Agent);
            _ = StopHostWithAsync(worker, handlers.Agent);
            return worker;
        }

        /// <summary>An agent process whose connection cannot be kept is of no use: whoever started it starts it again.</summary>
        private async Task StopHostWithAsync(AgentWorker worker, string agent)
        {
            if (await worker.Ended.ConfigureAwait(false) is { } reason)
            {
                logger?.LogCritical(reason, "Agent {Agent} has lost its connection for good; stopping", agent);
                services.GetService<IHostApplicationLifetime>()?.StopApplication();
            }
        }

        internal Task StopAllAsync(CancellationToken cancellationToken) => Task.WhenAll(workers.Select(worker => worker.StopAsync(cancellationToken)));
    }
}
