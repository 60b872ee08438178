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

        private static PerperException Twice(IPerperListener listener, string what) =>
            new PerperException(3, "INVALID_SETTINGS", $"agent {listener.Agent} has two handlers for {what}, one of them {listener}; remove one");

        internal IPerperHandler? Find(Activation activation) => activation.Kind switch
        {
            ActivationKind.Deploy => deploy,
            ActivationKind.Upgrade => upgrade,
            ActivationKind.EnterContainer => enter,
            _ => delegates.GetValueOrDefault(activation.Delegate),
        };

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
            enter is not null,
            (ulong)Math.Max(1, configuration.Concurrency),
            0,
            workgroup);
    }
}
