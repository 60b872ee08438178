using System;
using System.Reflection;
using System.Threading.Tasks;

using Microsoft.Extensions.DependencyInjection;

using Perper.Model;
using Perper.Protocol;

namespace Perper.Application.Handlers
{
    /// <summary>Starts one instance of the agent that is deployed; it is the same one in every process.</summary>
    public class DeploySingletonPerperHandler : IPerperHandler
    {
        private readonly IServiceProvider services;

        /// <summary>Creates the handler.</summary>
        public DeploySingletonPerperHandler(IServiceProvider services) => this.services = services;

        /// <inheritdoc />
        public ParameterInfo[]? GetParameters() => null;

        /// <inheritdoc />
        public Task Invoke(PerperExecutionData executionData, object?[] arguments)
        {
            // Of one id there is one instance: the second process finds it started.
            var instance = new PerperAgent(executionData.Agent.Agent, $"{executionData.Agent.Agent}-singleton");
            return ((FabricService)services.GetRequiredService<IPerper>()).StartInstanceAsync(instance);
        }
    }
}
