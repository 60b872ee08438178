using System;
using System.Threading.Tasks;

using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

using Perper.Application.Handlers;
using Perper.Application.Listeners;
using Perper.Extensions;
using Perper.Model;
using Perper.Protocol;

namespace Perper.Application
{
    /// <summary>Perper in a host.</summary>
    public static class PerperHostExtensions
    {
        /// <summary>The configuration section.</summary>
        public const string Section = "Perper";

        /// <summary>Adds a connection to a Fabric, and the agents that the process serves.</summary>
        public static IHostBuilder ConfigurePerper(this IHostBuilder builder, Action<IPerperBuilder> configure) =>
            builder.ConfigureServices((_, services) => services.AddPerper(configure));

        /// <summary>Adds a connection to a Fabric.</summary>
        public static IHostBuilder ConfigurePerper(this IHostBuilder builder) => builder.ConfigurePerper(static _ => { });

        /// <summary>Adds a connection to a Fabric, and the agents that the process serves.</summary>
        public static IHostApplicationBuilder AddPerper(this IHostApplicationBuilder builder, Action<IPerperBuilder>? configure = null)
        {
            builder.Services.AddPerper(configure);
            return builder;
        }

        /// <summary>
        /// Adds a connection to a Fabric (<see cref="IPerper"/>), and the agents that the process serves. In the scope of an
        /// execution there is also an <see cref="IPerperContext"/>.
        /// </summary>
        public static IServiceCollection AddPerper(this IServiceCollection services, Action<IPerperBuilder>? configure = null)
        {
            services.AddOptions<PerperConfiguration>().Configure<IServiceProvider>(static (options, provider) =>
            {
                provider.GetService<IConfiguration>()?.GetSection(Section).Bind(options);
                options.Agent ??= Variable("X_PERPER_AGENT");
                options.Instance ??= Variable("X_PERPER_INSTANCE");
            });
            services.AddOptions<FabricConfiguration>().Configure<IServiceProvider>(static (options, provider) =>
                provider.GetService<IConfiguration>()?.GetSection(Section).GetSection("Fabric").Bind(options));
            services.TryAddSingleton<FabricService>(static provider =>
            {
                var configuration = provider.GetRequiredService<IOptions<FabricConfiguration>>().Value;
                configuration.Endpoint ??= provider.GetRequiredService<IOptions<PerperConfiguration>>().Value.FabricEndpoint;
                // Containers make their services synchronously; not on this thread, which may be that of a user interface.
                var fabric = Task.Run(() => FabricService.ConnectAsync(configuration)).GetAwaiter().GetResult();
                PerperContext.SetDefault(fabric.DefaultScope);
                return fabric;
            });
            services.TryAddSingleton<IPerper>(static provider => provider.GetRequiredService<FabricService>());
            services.TryAddSingleton(static provider => new PerperListenerFilter(provider.GetRequiredService<IOptions<PerperConfiguration>>()));
            services.TryAddScoped<PerperScopeService>();
            services.TryAddScoped<IPerperContext>(static provider => Scope.Current?.Context
                ?? throw PerperException.InvalidArgument("an IPerperContext belongs to an execution; ask for it in a handler, or use PerperContext.Current"));
            services.TryAddScoped(static provider => provider.GetRequiredService<PerperScopeService>().CurrentExecution
                ?? throw PerperException.InvalidArgument("PerperExecutionData belongs to an execution; ask for it in a handler"));
            services.TryAddSingleton<AgentWorkers>();
            services.AddHostedService<PerperHostedService>();
            configure?.Invoke(new PerperBuilder(services));
            return services;
        }

        private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
    }
}
