using System.Threading.Tasks;

namespace Perper.Model
{
    /// <summary>What is often wanted of instances.</summary>
    public static class PerperAgentsExtensions
    {
        /// <summary>The delegate that is called when an instance is started.</summary>
        public static string StartFunctionName => "Start";

        /// <summary>The former name of <see cref="StartFunctionName"/>; a handler may still be called <c>Startup</c>.</summary>
        public static string StartupFunctionName => StartFunctionName;

        /// <summary>The delegate that is called when an instance is stopped.</summary>
        public static string StopFunctionName => "Stop";

        /// <summary>Starts an instance.</summary>
        public static async Task<PerperAgent> CreateAsync(this IPerperAgents agents, PerperAgent? parent, string agent, params object?[] arguments)
        {
            var (instance, start) = agents.Create(parent, agent);
            await start(arguments).ConfigureAwait(false);
            return instance;
        }

        /// <summary>Starts an instance, and gives what its <c>Start</c> returned.</summary>
        public static async Task<(PerperAgent Instance, TResult Result)> CreateAsync<TResult>(this IPerperAgents agents, PerperAgent? parent, string agent, params object?[] arguments)
        {
            var (instance, start) = agents.Create<TResult>(parent, agent);
            return (instance, await start(arguments).ConfigureAwait(false));
        }

        /// <summary>Starts an instance that goes with the current one.</summary>
        public static Task<PerperAgent> CreateAgentAsync(this IPerperContext context, string agent, params object?[] arguments) =>
            context.Agents.CreateAsync(null, agent, arguments);

        /// <summary>Starts an instance that goes with the current one, and gives what its <c>Start</c> returned.</summary>
        public static Task<(PerperAgent Instance, TResult Result)> CreateAgentAsync<TResult>(this IPerperContext context, string agent, params object?[] arguments) =>
            context.Agents.CreateAsync<TResult>(null, agent, arguments);
    }
}
