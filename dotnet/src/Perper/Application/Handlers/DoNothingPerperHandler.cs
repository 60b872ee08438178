using System;
using System.Reflection;
using System.Threading.Tasks;

using Microsoft.Extensions.DependencyInjection;

using Perper.Model;

namespace Perper.Application.Handlers
{
    /// <summary>Succeeds, without a result.</summary>
    public class DoNothingPerperHandler : IPerperHandler
    {
        private readonly IPerper perper;

        /// <summary>Creates the handler.</summary>
        public DoNothingPerperHandler(IPerper perper) => this.perper = perper;

        /// <summary>Creates the handler.</summary>
        public DoNothingPerperHandler(IServiceProvider services) : this(services.GetRequiredService<IPerper>())
        {
        }

        /// <inheritdoc />
        public ParameterInfo[]? GetParameters() => null;

        /// <inheritdoc />
        public Task Invoke(PerperExecutionData executionData, object?[] arguments) =>
            executionData.IsSynthetic ? Task.CompletedTask : perper.Executions.WriteResultAsync(executionData.Execution);
    }
}
