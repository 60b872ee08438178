using System;
using System.Diagnostics;
using System.Threading;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>On whose behalf things are asked for: the connection, the instance, and the execution while it runs.</summary>
    internal sealed class Scope
    {
        private static readonly AsyncLocal<Scope?> Ambient = new();
        private static readonly AsyncLocal<long?> AmbientDeadline = new();

        private readonly ScopedPerper perper;

        internal Scope(FabricService fabric, PortClient port, PerperAgent agent, PerperExecution execution, Activation? activation = null)
        {
            Fabric = fabric;
            Port = port;
            Agent = agent;
            Execution = execution;
            Activation = activation;
            perper = new ScopedPerper(fabric, this);
        }

        /// <summary>What the surrounding code runs in.</summary>
        internal static Scope? Current
        {
            get => Ambient.Value;
            set => Ambient.Value = value;
        }

        /// <summary>When <c>WithTimeout</c> says that calls must be over, on the clock of <see cref="Environment.TickCount64"/>.</summary>
        internal static long? Deadline
        {
            get => AmbientDeadline.Value;
            set => AmbientDeadline.Value = value;
        }

        internal FabricService Fabric { get; }

        internal PortClient Port { get; }

        internal PerperAgent Agent { get; }

        internal PerperExecution Execution { get; }

        internal Activation? Activation { get; }

        internal IPerperContext Context => perper;

        /// <summary>The instance that owns what is made here; empty for none.</summary>
        internal string Owner => Agent.Instance;

        /// <summary>The invocation that is the parent of calls; 0 once it is over.</summary>
        internal ulong Invocation => Activation is { IsConcluded: false, CancelledBy: 0 } running ? running.Invocation : 0;

        /// <summary>What is left of the scope's deadline in milliseconds; 0 for none. The execution's own is the core's affair.</summary>
        internal static ulong Timeout()
        {
            if (Deadline is not { } deadline)
            {
                return 0;
            }

            // 0 would be none, so what is over gets the shortest time there is.
            return (ulong)Math.Max(1, deadline - Environment.TickCount64);
        }

        /// <summary>The trace that calls continue, where the program is being traced itself.</summary>
        internal static (string? Parent, string? State) Trace() =>
            Activity.Current is { IdFormat: ActivityIdFormat.W3C, Id: { } id } activity ? (id, activity.TraceStateString) : (null, null);
    }
}
