using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>What the native library asks to be invoked.</summary>
    internal enum ActivationKind : byte
    {
        Delegate = 0,
        Deploy = 1,
        Upgrade = 2,
        EnterContainer = 3,
    }

    /// <summary>The stream that an activation is to fill.</summary>
    internal sealed record LinkedStream(string Stream, long? LastKey, ulong Items, ulong Stride, long FirstKey, ulong SkipItems);

    /// <summary>One invocation of a handler, from the moment it was handed out until its outcome is handed back.</summary>
    internal sealed class Activation : IThreadPoolWorkItem
    {
        private readonly CancellationTokenSource cancellation = new();
        private readonly ReadOnlyMemory<byte> traceParent;
        private readonly ReadOnlyMemory<byte> headers;
        private int isConcluded;
        private Scope? heldAs;
        private Action<Activation>? run;

        private Activation(PortClient port, ReadOnlyMemory<byte> traceParent, ReadOnlyMemory<byte> headers)
        {
            Port = port;
            this.traceParent = traceParent;
            this.headers = headers;
        }

        internal PortClient Port { get; }

        internal ulong Invocation { get; private init; }

        internal ActivationKind Kind { get; private init; }

        internal uint Attempt { get; private init; }

        internal ulong Incarnation { get; private init; }

        /// <summary>When it must be over, on the clock of <see cref="Environment.TickCount64"/>.</summary>
        internal long? Deadline { get; private init; }

        internal string Execution { get; private init; } = "";

        internal string Agent { get; private init; } = "";

        internal string Instance { get; private init; } = "";

        internal string Delegate { get; private init; } = "";

        /// <summary>The trace that it belongs to. Decoded when somebody asks, which is seldom.</summary>
        internal string TraceParent => Encoding.UTF8.GetString(traceParent.Span);

        /// <summary>The span of whoever has called, and what vendors have added; decoded when somebody asks.</summary>
        internal (string? Parent, string? State) CallerTrace()
        {
            var texts = new RecordReader(headers).ReadTexts();
            return (texts.GetValueOrDefault("traceparent"), texts.GetValueOrDefault("tracestate"));
        }

        internal LinkedStream? LinkedStream { get; private init; }

        internal IReadOnlyList<ReadOnlyMemory<byte>> Arguments { get; private init; } = Array.Empty<ReadOnlyMemory<byte>>();

        internal CancellationToken Cancellation => cancellation.Token;

        /// <summary>Why it was cancelled: the code of an error. 0 if it was not.</summary>
        internal int CancelledBy { get; private set; }

        /// <summary>Whether its outcome has been told.</summary>
        internal bool IsConcluded => Volatile.Read(ref isConcluded) != 0;

        /// <summary>The rest of the process finds it by this scope, until it is over in whatever way.</summary>
        internal void HeldAs(Scope scope) => Volatile.Write(ref heldAs, scope);

        private void End()
        {
            Port.Forget(this);
            if (Interlocked.Exchange(ref heldAs, null) is { } scope)
            {
                scope.Fabric.Held.TryRemove(new(scope.Execution.Execution, scope));
            }
        }

        /// <summary>Runs it on a thread of the pool and from a clean context, whatever this one carries.</summary>
        internal void Queue(Action<Activation> run)
        {
            this.run = run;
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }

        void IThreadPoolWorkItem.Execute() => run!(this);

        internal static Activation Read(PortClient port, ref RecordReader record)
        {
            var invocation = record.ReadU64();
            var kind = (ActivationKind)record.ReadU8();
            var (attempt, incarnation, remaining) = (record.ReadU32(), record.ReadU64(), record.ReadU64());
            var execution = record.ReadText();
            // The same few come again and again.
            var (agent, instance, @delegate) = (port.Names.Read(ref record), port.Names.Read(ref record), port.Names.Read(ref record));
            var trace = record.ReadBytes();
            record.ReadBytes();
            var headers = record.Rest;
            record.SkipTexts();
            LinkedStream? linked = null;
            if (record.ReadBool())
            {
                var stream = record.ReadText();
                var (hasLast, last) = (record.ReadBool(), record.ReadI64());
                linked = new LinkedStream(stream, hasLast ? last : null, record.ReadU64(), record.ReadU64(), record.ReadI64(), record.ReadU64());
            }

            return new Activation(port, trace, headers)
            {
                Invocation = invocation,
                Kind = kind,
                Attempt = attempt,
                Incarnation = incarnation,
                Deadline = remaining == 0 ? null : Environment.TickCount64 + (long)Math.Min(remaining, long.MaxValue / 2),
                Execution = execution,
                Agent = agent,
                Instance = instance,
                Delegate = @delegate,
                LinkedStream = linked,
                Arguments = record.ReadValues(),
            };
        }

        /// <summary>Stops the handler; its outcome is nobody's any more.</summary>
        internal void Cancel(int reason)
        {
            CancelledBy = reason;
            End();
            // Off the loop that everything comes through: whoever listens to the token runs code of his own.
            ThreadPool.UnsafeQueueUserWorkItem(static source =>
            {
                try
                {
                    source.Cancel();
                }
                catch (AggregateException)
                {
                    // What a handler does on cancellation is its own affair.
                }
            }, cancellation, preferLocal: false);
        }

        /// <summary>Tells the outcome, once.</summary>
        internal Task CompleteAsync<T>(T result) => ConcludeAsync(Operation.Complete, result, static (record, result) => Sequences.Results<T>.Write(record, result));

        /// <summary>Tells that there is an outcome, but no result.</summary>
        internal Task CompleteAsync() => ConcludeAsync(Operation.Complete, 0, static (record, _) => record.WriteCount(0));

        /// <summary>
        /// Tells the outcome, once, and does not wait until the Fabric has it: before the port has ended it does, or says
        /// in its log why not.
        /// </summary>
        internal void Complete<T>(T result) => Conclude(Operation.Complete, result, static (record, result) => Sequences.Results<T>.Write(record, result));

        /// <summary>As <see cref="Complete{T}"/>, without a result.</summary>
        internal void Complete() => Conclude(Operation.Complete, 0, static (record, _) => record.WriteCount(0));

        internal Task FailAsync(Exception error) => ConcludeAsync(Operation.Fail, error, static (record, error) => record.WriteFailure(error));

        private void BeginToConclude()
        {
            if (Interlocked.Exchange(ref isConcluded, 1) != 0)
            {
                throw PerperException.InvalidArgument($"execution {Execution} has an outcome already; it cannot get another");
            }
        }

        private void Conclude<TState>(Operation operation, TState state, Action<RecordWriter, TState> write)
        {
            BeginToConclude();
            try
            {
                Port.Tell(operation, (Invocation, state, write), static (record, it) =>
                {
                    record.WriteU64(it.Invocation);
                    it.write(record, it.state);
                });
            }
            catch (PerperValueException)
            {
                // What could not even be encoded leaves the outcome open.
                Volatile.Write(ref isConcluded, 0);
                throw;
            }

            End();
        }

        private async Task ConcludeAsync<TState>(Operation operation, TState state, Action<RecordWriter, TState> write)
        {
            BeginToConclude();
            var concluding = Port.RequestAsync(operation, (Invocation, state, write), static (record, it) =>
            {
                record.WriteU64(it.Invocation);
                it.write(record, it.state);
            });
            if (concluding.IsFaulted && concluding.Exception!.InnerException is PerperValueException)
            {
                Volatile.Write(ref isConcluded, 0);
            }
            else
            {
                End();
            }

            await concluding.ConfigureAwait(false);
        }
    }
}
