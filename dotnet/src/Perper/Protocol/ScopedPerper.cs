using System;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>
    /// The operations of a Fabric, on behalf of one scope or of whichever is current. Each is a request to a port; the
    /// parts of this class are the four groups of operations.
    /// </summary>
    internal sealed partial class ScopedPerper : IPerperContext, IPerperExecutions, IPerperAgents, IPerperStreams, IPerperStates
    {
        private readonly FabricService fabric;
        private readonly Scope? scope;

        internal ScopedPerper(FabricService fabric, Scope? scope)
        {
            this.fabric = fabric;
            this.scope = scope;
        }

        /// <summary>On whose behalf: of another connection's handler nothing is known here.</summary>
        internal Scope Scope => scope ?? (Scope.Current is { } current && current.Fabric == fabric ? current : fabric.DefaultScope);

        public IPerperExecutions Executions => this;

        public IPerperAgents Agents => this;

        public IPerperStreams Streams => this;

        public IPerperStates States => this;

        public PerperExecution CurrentExecution => Scope.Execution;

        public PerperAgent CurrentAgent => Scope.Agent.Agent.Length > 0
            ? Scope.Agent
            : throw PerperException.InvalidArgument("this context belongs to no agent, so there is nobody to call by a delegate's name alone; call a PerperAgent, or do this in a handler");

        public PerperDictionary CurrentState => GetInstanceDictionary(Scope.Agent);
    }
}
