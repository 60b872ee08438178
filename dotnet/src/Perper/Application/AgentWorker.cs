using System;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Threading;
using System.Threading.Tasks;

using Microsoft.Extensions.Logging;

using Perper.Application.Handlers;
using Perper.Application.Listeners;
using Perper.Extensions;
using Perper.Model;
using Perper.Protocol;

namespace Perper.Application
{
    /// <summary>Serves an agent: invokes a handler for each activation, and tells what came of it.</summary>
    internal sealed class AgentWorker
    {
        /// <summary>The name of the <see cref="ActivitySource"/> and of the <see cref="Meter"/>.</summary>
        internal const string Telemetry = "Perper";

        private static readonly ActivitySource Activities = new(Telemetry);
        private static readonly Meter Meter = new(Telemetry);
        private static readonly Histogram<double> Durations = Meter.CreateHistogram<double>("perper.execution.duration", "s", "How long handlers took.");
        private static readonly UpDownCounter<long> InFlight = Meter.CreateUpDownCounter<long>("perper.executions.in_flight", "{execution}", "Handlers that run.");

        private readonly FabricService fabric;
        private readonly AgentHandlers handlers;
        private readonly PerperConfiguration configuration;
        private readonly ILogger? logger;
        private readonly Scope defaultScope;
        private readonly PortClient port;
        private readonly Action<Activation> invoke;
        private readonly CancellationTokenSource stopping = new();

        internal AgentWorker(FabricService fabric, AgentHandlers handlers, PerperConfiguration configuration, string? instance, ILogger? logger)
        {
            this.fabric = fabric;
            this.handlers = handlers;
            this.configuration = configuration;
            this.logger = logger;
            invoke = activation => _ = InvokeAsync(activation);
            port = fabric.Serve(handlers.ToSettings(configuration, instance, fabric.Configuration.Workgroup), Activated);
            // The instance that is there always.
            defaultScope = new Scope(fabric, port, new PerperAgent(handlers.Agent, $"{handlers.Agent}-deploy"), new PerperExecution(""));
            PerperContext.SetDefault(defaultScope);
        }

        /// <summary>Over when the worker is: with the reason, if nobody had asked for it.</summary>
        internal Task<PerperException?> Ended => port.Ended;

        /// <summary>A context in the agent's implicit instance, for code beside the handlers.</summary>
        internal IPerperContext Context => defaultScope.Context;

        /// <summary>Takes no more calls, waits until those in flight are over or the time is, and gives back the rest.</summary>
        internal async Task StopAsync(CancellationToken cancellationToken)
        {
            PerperContext.ClearDefault(defaultScope);
            stopping.Cancel();
            try
            {
                port.Tell(Operation.Stop, 0, static (_, _) => { });
                await port.Ended.WaitAsync(configuration.Grace, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception error) when (error is TimeoutException or OperationCanceledException)
            {
                logger?.LogWarning("The grace is over; giving back {InFlight} executions of {Agent}", port.InFlight, handlers.Agent);
                port.Tell(Operation.ReleaseAll, 0, static (_, _) => { });
                // What the core has left to say comes at once; a connection that is lost must not hold the process.
                await Task.WhenAny(port.Ended, Task.Delay(TimeSpan.FromSeconds(2), CancellationToken.None)).ConfigureAwait(false);
            }
            catch (PerperException)
            {
                // It is over already.
            }

            await port.DisposeAsync().ConfigureAwait(false);
        }

        private void Activated(Activation activation) => activation.Queue(invoke);

        private async Task InvokeAsync(Activation activation)
        {
            var (scope, data) = ScopedPerper.Hold(fabric, activation);
            Scope.Current = scope;
            using var activity = Activities.HasListeners() ? StartActivity(activation, data) : null;
            var started = Stopwatch.GetTimestamp();
            InFlight.Add(1);
            try
            {
                var handler = handlers.Find(activation)
                    ?? throw new PerperException(40, "NOT_FOUND", $"agent {activation.Agent} has no delegate '{activation.Delegate}'");
                var arguments = Sequences.ReadArguments(activation.Arguments, handler.GetParameters(), activation.Cancellation);
                await handler.Invoke(data, arguments).ConfigureAwait(false);
                if (activation is { IsConcluded: false, CancelledBy: 0 })
                {
                    activation.Complete();
                }

                if (activation.Kind == ActivationKind.EnterContainer && handlers.Run is { } run)
                {
                    _ = RunInstanceAsync(run, data.Agent);
                }
            }
            catch (Exception error)
            {
                activity?.SetStatus(ActivityStatusCode.Error, error.Message);
                await FailAsync(activation, Name(activation, data), error).ConfigureAwait(false);
            }
            finally
            {
                InFlight.Add(-1);
                if (Durations.Enabled)
                {
                    Durations.Record(Stopwatch.GetElapsedTime(started).TotalSeconds, new System.Collections.Generic.KeyValuePair<string, object?>("delegate", Name(activation, data)));
                }
            }
        }

        private static string Name(Activation activation, PerperExecutionData data) => $"{activation.Agent}.{data.Delegate}";

        /// <summary>A span within the caller's.</summary>
        private static Activity? StartActivity(Activation activation, PerperExecutionData data)
        {
            var (caller, state) = activation.CallerTrace();
            var parent = ActivityContext.TryParse(caller, state, isRemote: true, out var context) ? context : default;
            var activity = Activities.StartActivity(Name(activation, data), ActivityKind.Server, parent);
            activity?.SetTag("perper.instance", activation.Instance);
            activity?.SetTag("perper.execution", activation.Execution);
            return activity;
        }

        /// <summary>Beside the calls of an instance that has entered, until it goes or the process stops.</summary>
        private async Task RunInstanceAsync(IPerperHandler run, PerperAgent instance)
        {
            var execution = new PerperExecution($"{instance.Instance}-{RunInstancePerperListener.RunInstanceDelegate}");
            var scope = new Scope(fabric, port, instance, execution);
            Scope.Current = scope;
            using var over = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
            var going = CancelWithAsync(instance, over);
            try
            {
                var data = new PerperExecutionData(instance, RunInstancePerperListener.RunInstanceDelegate, execution, over.Token) { IsSynthetic = true };
                var arguments = Sequences.ReadArguments(Array.Empty<ReadOnlyMemory<byte>>(), run.GetParameters(), over.Token);
                await run.Invoke(data, arguments).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (over.IsCancellationRequested)
            {
                // As it was told.
            }
            catch (Exception error)
            {
                logger?.LogError(error, "{Run} of {Instance} failed", run, instance);
            }
            finally
            {
                over.Cancel();
                await going.ConfigureAwait(false);
            }
        }

        /// <summary>The execution that an instance is in the registry ends when the instance goes, and not before.</summary>
        private async Task CancelWithAsync(PerperAgent instance, CancellationTokenSource over)
        {
            try
            {
                await fabric.Executions.GetResultAsync(new PerperExecution(instance.Instance), over.Token).ConfigureAwait(false);
            }
            catch (Exception error) when (error is PerperException or OperationCanceledException)
            {
                // However it ended.
            }

            over.Cancel();
        }

        private async Task FailAsync(Activation activation, string name, Exception error)
        {
            if (activation.CancelledBy != 0)
            {
                logger?.LogDebug("{Name} was cancelled", name);
                return;
            }

            if (activation.IsConcluded)
            {
                logger?.LogWarning(error, "{Name} failed after it had told its outcome, or its outcome could not be told", name);
                return;
            }

            logger?.LogDebug(error, "{Name} failed", name);
            try
            {
                await activation.FailAsync(error).ConfigureAwait(false);
            }
            catch (Exception telling)
            {
                logger?.LogWarning(telling, "The failure of {Name} could not be told", name);
            }
        }
    }
}
