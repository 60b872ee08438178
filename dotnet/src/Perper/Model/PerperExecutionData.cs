using System.Threading;

namespace Perper.Model
{
    /// <summary>An execution that this process has taken, to be given a result.</summary>
    /// <param name="Agent">The instance that is called.</param>
    /// <param name="Delegate">What is called.</param>
    /// <param name="Execution">The execution.</param>
    /// <param name="CancellationToken">Cancelled when the outcome is nobody's any more.</param>
    public record PerperExecutionData(PerperAgent Agent, string Delegate, PerperExecution Execution, CancellationToken CancellationToken)
    {
        /// <summary>Nobody has called: it stands for a moment in the life of the process or of an instance, such as <c>Deploy</c>.</summary>
        public bool IsSynthetic { get; init; }

        /// <summary>How many workers have been given it, this one included.</summary>
        public int Attempt { get; init; } = 1;

        internal Protocol.Activation? Activation { get; init; }
    }

    /// <summary>Which executions to take.</summary>
    /// <param name="Agent">Of this agent.</param>
    /// <param name="Instance">Of this instance only.</param>
    /// <param name="Delegate">Of this delegate only.</param>
    public record PerperExecutionFilter(string Agent, string? Instance, string? Delegate)
    {
        /// <summary>Everything of an agent.</summary>
        public PerperExecutionFilter(string agent) : this(agent, null, null)
        {
        }

        /// <summary>Everything of an instance.</summary>
        public PerperExecutionFilter(PerperAgent agent) : this(agent.Agent, agent.Instance, null)
        {
        }

        /// <summary>A delegate of an agent.</summary>
        public PerperExecutionFilter(string agent, string @delegate) : this(agent, null, @delegate)
        {
        }

        /// <summary>A delegate of an instance.</summary>
        public PerperExecutionFilter(PerperAgent agent, string @delegate) : this(agent.Agent, agent.Instance, @delegate)
        {
        }

        /// <summary>Whether to take them, rather than to look on.</summary>
        public bool Reserve { get; init; } = true;
    }
}
