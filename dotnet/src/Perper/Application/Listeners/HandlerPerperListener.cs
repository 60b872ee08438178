using System;
using System.Threading;
using System.Threading.Tasks;

using Microsoft.Extensions.DependencyInjection;

using Perper.Application.Handlers;
using Perper.Model;

namespace Perper.Application.Listeners
{
    /// <summary>
    /// Answers with one handler. The listeners of an agent are served together, over one connection; one that is started
    /// after the host has its own.
    /// </summary>
    public abstract class HandlerPerperListener : IPerperListener
    {
        private readonly IServiceProvider services;
        private AgentWorker? worker;

        private protected HandlerPerperListener(string agent, IPerperHandler handler, IServiceProvider services)
        {
            Agent = agent;
            Handler = handler;
            this.services = services;
        }

        /// <inheritdoc />
        public string Agent { get; }

        /// <summary>Who answers.</summary>
        protected internal IPerperHandler Handler { get; }

        internal abstract void AddTo(AgentHandlers handlers);

        /// <inheritdoc />
        public virtual async Task StartAsync(CancellationToken cancellationToken)
        {
            var agents = services.GetRequiredService<AgentWorkers>();
            worker = await agents.AddAsync(this, cancellationToken).ConfigureAwait(false);
        }

        /// <inheritdoc />
        public virtual Task StopAsync(CancellationToken cancellationToken) => worker?.StopAsync(cancellationToken) ?? Task.CompletedTask;

        /// <inheritdoc />
        public override string ToString() => $"{GetType().Name}({Agent}, {Handler})";
    }

    /// <summary>Answers calls of a delegate.</summary>
    public class ExecutionPerperListener : HandlerPerperListener
    {
        /// <summary>Creates a listener.</summary>
        public ExecutionPerperListener(string agent, string @delegate, IPerperHandler handler, IServiceProvider services)
            : base(agent, handler, services) => Delegate = @delegate;

        /// <summary>The delegate.</summary>
        public string Delegate { get; }

        internal override void AddTo(AgentHandlers handlers) => handlers.AddDelegate(this, Delegate, Handler, null);

        /// <inheritdoc />
        public override string ToString() => $"{GetType().Name}({Agent}, {Delegate}, {Handler})";
    }

    /// <summary>Fills the streams of a delegate.</summary>
    public class StreamPerperListener : ExecutionPerperListener
    {
        /// <summary>Creates a listener.</summary>
        public StreamPerperListener(string agent, string @delegate, PerperStreamOptions streamOptions, IPerperHandler handler, IServiceProvider services)
            : base(agent, @delegate, handler, services) => StreamOptions = streamOptions;

        /// <summary>How a stream is made when the delegate is called without one.</summary>
        public PerperStreamOptions StreamOptions { get; }

        internal override void AddTo(AgentHandlers handlers) => handlers.AddDelegate(this, Delegate, Handler, StreamOptions);
    }

    /// <summary>Runs once in each process, beside everything else.</summary>
    public class DeployPerperListener : HandlerPerperListener
    {
        /// <summary>Creates a listener.</summary>
        public DeployPerperListener(string agent, IPerperHandler handler, IServiceProvider services) : base(agent, handler, services)
        {
        }

        internal override void AddTo(AgentHandlers handlers) => handlers.SetDeploy(this, Handler);
    }

    /// <summary>Runs when an instance is started.</summary>
    public class StartPerperListener : ExecutionPerperListener
    {
        /// <summary>Creates a listener.</summary>
        public StartPerperListener(string agent, IPerperHandler handler, IServiceProvider services)
            : base(agent, PerperAgentsExtensions.StartFunctionName, handler, services)
        {
        }
    }

    /// <summary>Runs when an instance is stopped.</summary>
    public class StopPerperListener : ExecutionPerperListener
    {
        /// <summary>Creates a listener.</summary>
        public StopPerperListener(string agent, IPerperHandler handler, IServiceProvider services)
            : base(agent, PerperAgentsExtensions.StopFunctionName, handler, services)
        {
        }
    }

    /// <summary>Runs when an instance enters a process, before its first call there.</summary>
    public class EnterContainerPerperListener : HandlerPerperListener
    {
        /// <summary>The name that a handler is added by.</summary>
        public static string EnterContainerDelegate => "EnterContainer";

        /// <summary>Creates a listener.</summary>
        public EnterContainerPerperListener(string agent, IPerperHandler handler, IServiceProvider services) : base(agent, handler, services)
        {
        }

        internal override void AddTo(AgentHandlers handlers) => handlers.SetEnter(this, Handler);
    }

    /// <summary>Runs when an instance enters a process, before <see cref="EnterContainerPerperListener"/>: brings its state up to date.</summary>
    public class UpgradePerperListener : HandlerPerperListener
    {
        /// <summary>The name that a handler is added by.</summary>
        public static string UpgradeDelegate => "Upgrade";

        /// <summary>Creates a listener.</summary>
        public UpgradePerperListener(string agent, IPerperHandler handler, IServiceProvider services) : base(agent, handler, services)
        {
        }

        internal override void AddTo(AgentHandlers handlers) => handlers.SetUpgrade(this, Handler);
    }

    /// <summary>
    /// Runs beside the calls of an instance, from when it has entered a process until it goes or the process stops: a
    /// <see cref="CancellationToken"/> among its parameters says so.
    /// </summary>
    public class RunInstancePerperListener : HandlerPerperListener
    {
        /// <summary>The name that a handler is added by.</summary>
        public static string RunInstanceDelegate => "RunInstance";

        /// <summary>Creates a listener.</summary>
        public RunInstancePerperListener(string agent, IPerperHandler handler, IServiceProvider services) : base(agent, handler, services)
        {
        }

        internal override void AddTo(AgentHandlers handlers) => handlers.SetRun(this, Handler);
    }

    /// <summary>Serves an agent for which nothing may have been written: instances start and stop, and that is all.</summary>
    public class FallbackPerperListener : HandlerPerperListener
    {
        /// <summary>Creates a listener.</summary>
        public FallbackPerperListener(string agent, IServiceProvider services) : base(agent, NoHandler.Instance, services)
        {
        }

        internal override void AddTo(AgentHandlers handlers)
        {
            // What nobody has written succeeds by itself.
        }

        private sealed class NoHandler : IPerperHandler
        {
            internal static readonly NoHandler Instance = new();

            public System.Reflection.ParameterInfo[]? GetParameters() => null;

            public Task Invoke(PerperExecutionData executionData, object?[] arguments) => Task.CompletedTask;
        }
    }
}
