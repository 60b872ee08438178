using System.Reflection;
using System.Threading.Tasks;

using Perper.Model;

namespace Perper.Application.Handlers
{
    /// <summary>Answers executions.</summary>
    public interface IPerperHandler
    {
        /// <summary>What the arguments are turned into; null takes them as they come.</summary>
        ParameterInfo[]? GetParameters();

        /// <summary>
        /// Carries an execution out and writes its result, by <see cref="IPerperExecutions.WriteResultAsync{TResult}"/>. If it
        /// writes none, the execution completes without; if it throws, the execution fails.
        /// </summary>
        Task Invoke(PerperExecutionData executionData, object?[] arguments);
    }
}
