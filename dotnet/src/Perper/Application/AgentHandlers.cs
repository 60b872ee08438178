using System;
using System.Collections.Generic;
using System.Linq;

using Perper.Application.Handlers;
using Perper.Application.Listeners;
using Perper.Model;
using Perper.Protocol;

namespace Perper.Application
{
    /// <summary>Everything that answers for an agent in this process.</summary>
    internal sealed class AgentHandlers
    {
        private readonly Dictionary<string, IPerperHandler> delegates = new();
        private readonly Dictionary<string, PerperStreamOptions> streams = new();
        private IPerperHandler? deploy;
        private IPerperHandler? upgrade;
        private IPerperHandler? enter;
        private IPerperHandler? run;

        internal AgentHandlers(string agent) => Agent = agent;

        internal string Agent { get; }

        internal void AddDelegate(IPerperListener listener, string @delegate, IPerperHandler handler, PerperStreamOptions? stream)
        {
            if (!delegates.TryAdd(@delegate, handler))
            {
                throw Twice(listener, $"the delegate '{@delegate}'");
            }

            if (stream is not null || handler is MethodPerperHandler { IsStream: true })
            {
                streams[@delegate] = stream ?? new PerperStreamOptions();
            }
        }

        internal void SetDeploy(IPerperListener listener, IPerperHandler handler) => deploy = deploy is null ? handler : throw Twice(listener, "Deploy");

        internal void SetUpgrade(IPerperListener listener, IPerperHandler handler) => upgrade = upgrade is null ? handler : throw Twice(listener, "Upgrade");

        internal void SetEnter(IPerperListener listener, IPerperHandler handler) => enter = enter is null ? handler : throw Twice(listener, "EnterContainer");

        internal void SetRun(IPerperListener listener, IPerperHandler handler) => run = run is null ? handler : throw Twice(listener, "RunInstance");

        /// <summary>What runs beside the calls of an instance.</summary>
        internal IPerperHandler? Run => run;

        private static PerperException Twice(IPerperListener listener, string what) =>
            new PerperException(3, "INVALID_SETTINGS", $"agent {listener.Agent} has two handlers for {what}, one of them {listener}; remove one");

        internal IPerperHandler? Find(Activation activation) => activation.Kind switch
        {
            ActivationKind.Deploy => deploy,
            ActivationKind.Upgrade => upgrade,
            // Asked for by whoever waits for instances to enter: there need be nothing to do then.
            ActivationKind.EnterContainer => enter ?? NoHandler.Instance,
            _ => delegates.GetValueOrDefault(activation.Delegate),
        };

        private sealed class NoHandler : IPerperHandler
        {
            internal static readonly NoHandler Instance = new();

            public System.Reflection.ParameterInfo[]? GetParameters() => null;

            public System.Threading.Tasks.Task Invoke(PerperExecutionData executionData, object?[] arguments) => System.Threading.Tasks.Task.CompletedTask;
        }

        internal Protocol.Generated.ServeSettings ToSettings(PerperConfiguration configuration, string? instance, string workgroup) => new(
            Agent,
            instance,
            delegates.Keys.ToList(),
            streams.ToDictionary(stream => stream.Key, stream => new Protocol.Generated.GeneratorSettings(
                stream.Value.Persistent,
                stream.Value.Action,
                (ulong)stream.Value.Stride,
                stream.Value.FirstKey,
                (ulong)stream.Value.BacklogItems,
                stream.Value.IndexedMembers().ToList(),
                stream.Value.ResumeBySkipping ? Protocol.Generated.Resume.Skip : Protocol.Generated.Resume.Again)),
            false,
            deploy is not null,
            upgrade is not null,
            enter is not null || run is not null,
            (ulong)Math.Max(1, configuration.Concurrency),
            0,
            workgroup);
    }
}
