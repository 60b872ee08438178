using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;

using Perper.Model;

namespace Perper.Protocol
{
    internal sealed partial class ScopedPerper
    {
        (PerperExecution Execution, DelayedCreateFunc Start) IPerperExecutions.Create(PerperAgent agent, string @delegate, ParameterInfo[]? parameters)
        {
            var execution = new PerperExecution(fabric.NewId());
            return (execution, arguments => CreateExecutionAsync(execution, agent, @delegate, arguments));
        }

        private Task CreateExecutionAsync(PerperExecution execution, PerperAgent agent, string @delegate, object?[] arguments)
        {
            var (rest, cancellation) = OwnCancellation(arguments);
            return Scope.Port.RequestAsync(Operation.CreateExecution, (Scope, execution, agent, @delegate, rest), static (record, it) =>
            {
                record.WriteU64(it.Scope.Invocation);
                record.WriteBool(true);
                record.WriteU64(Scope.Timeout());
                WriteCall(record, it.execution.Execution, it.agent, it.@delegate, it.rest);
                // Without a parent it is its maker's property, so that it does not outlive him unnoticed.
                record.WriteText(it.Scope.Invocation == 0 ? it.Scope.Owner : "");
                record.WriteText("");
                record.WriteBool(false);
                record.WriteBool(false);
            }, cancellation);
        }

        private static void WriteCall(RecordWriter record, string execution, PerperAgent agent, string @delegate, object?[] arguments)
        {
            record.WriteText(execution);
            record.WriteText(agent.Agent);
            record.WriteText(agent.Instance);
            record.WriteText(@delegate);
            record.WriteArguments(arguments);
            record.WriteHeaders(Scope.Trace());
        }

        /// <summary>A token among the arguments is the call's own, and does not travel.</summary>
        private static (object?[] Travelling, CancellationToken Cancellation) OwnCancellation(object?[] arguments)
        {
            // Mostly there is none.
            foreach (var argument in arguments)
            {
                if (argument is CancellationToken token)
                {
                    return (arguments.Where(other => other is not CancellationToken).ToArray(), token);
                }
            }

            return (arguments, default);
        }

        public async Task<TResult> CallAsync<TResult>(PerperAgent agent, string @delegate, object?[] arguments, CancellationToken cancellationToken)
        {
            var (rest, own) = OwnCancellation(arguments);
            var answer = await Scope.Port.RequestAsync(Operation.Call, (Scope, agent, @delegate, rest), static (record, it) =>
            {
                record.WriteU64(it.Scope.Invocation);
                record.WriteU64(Scope.Timeout());
                record.WriteText(it.agent.Agent);
                record.WriteText(it.agent.Instance);
                record.WriteText(it.@delegate);
                record.WriteArguments(it.rest);
                record.WriteHeaders(Scope.Trace());
            }, own.CanBeCanceled ? own : cancellationToken).ConfigureAwait(false);
            return ReadResults<TResult>(answer);
        }

        private static TResult ReadResults<TResult>(ReadOnlyMemory<byte> answer)
        {
            // Who wants nothing need not get anything.
            if (typeof(TResult) == typeof(Nothing))
            {
                return default!;
            }

            var results = new RecordReader(answer).Expect(1);
            return Sequences.Results<TResult>.Read(ref results);
        }

        /// <summary>The result of calls whose results nobody wants.</summary>
        internal struct Nothing
        {
        }

        public Task GetResultAsync(PerperExecution execution, CancellationToken cancellationToken) => GetResultAsync<Nothing>(execution, cancellationToken);

        public async Task<TResult> GetResultAsync<TResult>(PerperExecution execution, CancellationToken cancellationToken)
        {
            var answer = await Scope.Port.RequestAsync(Operation.WaitExecution, execution, static (record, it) => record.WriteText(it.Execution), cancellationToken).ConfigureAwait(false);
            return ReadResults<TResult>(answer);
        }

        public async Task DestroyAsync(PerperExecution execution)
        {
            await Ask(Operation.CancelExecution, execution.Execution).ConfigureAwait(false);
            await Ask(Operation.ForgetExecution, execution.Execution).ConfigureAwait(false);
        }

        private Task Ask(Operation operation, string id) => Scope.Port.RequestAsync(operation, id, static (record, id) => record.WriteText(id));

        private Activation Held(PerperExecution execution) => TryHeld(execution)
            ?? throw PerperException.InvalidArgument($"execution {execution.Execution} is not one that this process has taken and not completed");

        private Activation? TryHeld(PerperExecution execution) => fabric.Held.TryGetValue(execution.Execution, out var held) ? held.Activation : null;

        public Task<object?[]> GetArgumentsAsync(PerperExecution execution, ParameterInfo[]? parameters)
        {
            var activation = Held(execution);
            return Task.FromResult(Sequences.ReadArguments(activation.Arguments, parameters, activation.Cancellation));
        }

        public Task WriteResultAsync(PerperExecution execution) => TryHeld(execution) is { } held
            ? held.CompleteAsync()
            : CompleteManually(execution, 0, static (record, _) => record.WriteCount(0), failed: false);

        public Task WriteResultAsync<TResult>(PerperExecution execution, TResult result) => TryHeld(execution) is { } held
            ? held.CompleteAsync(result)
            : CompleteManually(execution, result, static (record, result) => Sequences.Results<TResult>.Write(record, result), failed: false);

        public Task WriteExceptionAsync(PerperExecution execution, Exception exception) => TryHeld(execution) is { } held
            ? held.FailAsync(exception)
            : CompleteManually(execution, exception, static (record, exception) => record.WriteFailure(exception), failed: true);

        /// <summary>Of an execution that is nobody's to take, but was created to be completed from outside.</summary>
        private Task CompleteManually<TState>(PerperExecution execution, TState state, Action<RecordWriter, TState> write, bool failed) =>
            Scope.Port.RequestAsync(Operation.CompleteManual, (execution, state, write, failed), static (record, it) =>
            {
                record.WriteText(it.execution.Execution);
                record.WriteBool(it.failed);
                it.write(record, it.state);
            });

        public async IAsyncEnumerable<PerperExecutionData> ListenAsync(PerperExecutionFilter filter, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            if (!filter.Reserve)
            {
                throw new PerperException(14, "FEATURE_NOT_SUPPORTED", "looking on without taking is not offered to libraries; set Reserve to true");
            }

            var taken = Channel.CreateUnbounded<Activation>(new UnboundedChannelOptions { SingleReader = true });
            var settings = new Generated.ServeSettings(
                filter.Agent,
                string.IsNullOrEmpty(filter.Instance) ? null : filter.Instance,
                filter.Delegate is null ? new List<string>() : new List<string> { filter.Delegate },
                new Dictionary<string, Generated.GeneratorSettings>(),
                filter.Delegate is null,
                false,
                false,
                false,
                0,
                0,
                fabric.Configuration.Workgroup);
            var port = fabric.Serve(settings, activation => taken.Writer.TryWrite(activation));
            _ = port.Ended.ContinueWith(ended => taken.Writer.TryComplete(ended.Result), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            try
            {
                while (true)
                {
                    // One for each that is asked for: what nobody has asked for is for other processes.
                    port.Tell(Operation.Grant, 1UL, static (record, count) => record.WriteU64(count));
                    Activation activation;
                    try
                    {
                        activation = await taken.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                    }
                    catch (ChannelClosedException closed)
                    {
                        if (closed.InnerException is not null)
                        {
                            throw closed.InnerException;
                        }

                        yield break;
                    }

                    yield return Hold(fabric, activation).Data;
                }
            }
            finally
            {
                _ = EndAsync(port);
            }
        }

        /// <summary>Takes no more; what has been taken may still be completed.</summary>
        private static async Task EndAsync(PortClient port)
        {
            try
            {
                port.Tell(Operation.Stop, 0, static (_, _) => { });
                await port.Ended.ConfigureAwait(false);
            }
            catch (PerperException)
            {
                // It is over already.
            }

            await port.DisposeAsync().ConfigureAwait(false);
        }

        /// <summary>Lets the rest of the process find an execution that it has taken, until it is over.</summary>
        internal static (Scope Scope, PerperExecutionData Data) Hold(FabricService fabric, Activation activation)
        {
            var agent = new PerperAgent(activation.Agent, activation.Instance);
            var isSynthetic = activation.Execution.Length == 0;
            var execution = new PerperExecution(isSynthetic ? $"{activation.Instance}-{activation.Kind}-{fabric.NewId()}" : activation.Execution);
            var scope = new Scope(fabric, activation.Port, agent, execution, activation);
            fabric.Held[execution.Execution] = scope;
            activation.HeldAs(scope);
            var data = new PerperExecutionData(agent, activation.Delegate.Length > 0 ? activation.Delegate : activation.Kind.ToString(), execution, activation.Cancellation)
            {
                IsSynthetic = isSynthetic,
                Attempt = (int)Math.Max(1, activation.Attempt),
                Activation = activation,
            };
            return (scope, data);
        }
    }
}
