using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>
    /// One port of the native library: batches requests on their way in, and hands out what comes back. A loop waits for
    /// the port, drains it, and waits again; whatever is requested meanwhile is gathered and submitted in one piece by a
    /// work item of the thread pool, so that many small things cost one crossing.
    /// </summary>
    internal sealed class PortClient : IThreadPoolWorkItem, IAsyncDisposable
    {
        private const ulong DrainBytes = 1 << 20;

        private readonly Generated.Port port;
        private readonly Action<Activation>? activated;
        private readonly ConcurrentDictionary<ulong, PendingRequest> pending = new();
        private readonly ConcurrentDictionary<ulong, Activation> active = new();
        private readonly CancellationTokenSource closing = new();
        private readonly TaskCompletionSource<PerperException?> ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Task pump;
        private readonly object gate = new();
        // Guarded by the gate: what is to be submitted next, and who has more to say when it is.
        private ValueWriter outgoing = new();
        private ValueWriter submitted = new();
        private readonly List<IOutgoing> speakers = new();
        private bool isScheduled;

        /// <summary>Of the loop that drains: nothing is in hand any more.</summary>
        private bool isStopped;
        private PerperException? over;
        private long lastNumber;

        internal PortClient(Generated.Port port, Action<Activation>? activated)
        {
            this.port = port;
            this.activated = activated;
            pump = Task.Run(PumpAsync);
        }

        /// <summary>Completed when the port has ended: with the reason, if it was not asked to.</summary>
        internal Task<PerperException?> Ended => ended.Task;

        internal int InFlight => active.Count;

        /// <summary>For whoever reads records: only the loop that drains does.</summary>
        internal TextCache Names { get; } = new();

        /// <summary>A number for a request, a writer, a listener: never used twice.</summary>
        internal ulong NewNumber() => (ulong)Interlocked.Increment(ref lastNumber);

        /// <summary>Requests something, and gives the answer.</summary>
        internal Task<ReadOnlyMemory<byte>> RequestAsync<TState>(Operation operation, TState state, Action<RecordWriter, TState> write, CancellationToken cancellationToken = default)
        {
            if (cancellationToken.IsCancellationRequested)
            {
                return Task.FromCanceled<ReadOnlyMemory<byte>>(cancellationToken);
            }

            var number = NewNumber();
            var request = new PendingRequest(this, number) { IsConclusion = operation is Operation.Complete or Operation.Fail };
            var record = RecordWriter.Rent(operation, number);
            try
            {
                write(record, state);
                pending[number] = request;
                Submit(record.Finish());
            }
            catch (Exception error)
            {
                pending.TryRemove(number, out _);
                return Task.FromException<ReadOnlyMemory<byte>>(error);
            }
            finally
            {
                record.Return();
            }

            request.CancelWith(cancellationToken);
            return request.Task;
        }

        /// <summary>Requests something whose outcome nobody waits for.</summary>
        internal void Tell<TState>(Operation operation, TState state, Action<RecordWriter, TState> write)
        {
            var record = RecordWriter.Rent(operation, 0);
            try
            {
                write(record, state);
                Submit(record.Finish());
            }
            finally
            {
                record.Return();
            }
        }

        private void Submit(ReadOnlySpan<byte> record)
        {
            lock (gate)
            {
                if (over is not null)
                {
                    throw over;
                }

                record.CopyTo(outgoing.Take(record.Length));
                Schedule();
            }
        }

        /// <summary>Asks somebody, when the next batch is made, what there is to say.</summary>
        internal void Announce(IOutgoing speaker)
        {
            lock (gate)
            {
                speakers.Add(speaker);
                Schedule();
            }
        }

        private void Schedule()
        {
            if (!isScheduled)
            {
                isScheduled = true;
                // Behind what is queued already, so that it takes along what that has to request.
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            }
        }

        /// <summary>Submits what has been gathered.</summary>
        void IThreadPoolWorkItem.Execute()
        {
            IOutgoing[] told;
            lock (gate)
            {
                told = speakers.ToArray();
                speakers.Clear();
            }

            foreach (var speaker in told)
            {
                speaker.Write(this);
            }

            ValueWriter batch;
            lock (gate)
            {
                (batch, outgoing, submitted) = (outgoing, submitted, outgoing);
                outgoing.Clear();
                if (over is not null)
                {
                    return;
                }
            }

            // Only one of these runs at a time: it is scheduled anew only after the next line but one.
            try
            {
                port.Submit(batch.Written);
            }
            catch (Exception error)
            {
                Finish(Translate(error));
                return;
            }

            lock (gate)
            {
                isScheduled = false;
                if (outgoing.Length > 0 || speakers.Count > 0)
                {
                    Schedule();
                }
            }
        }

        private async Task PumpAsync()
        {
            try
            {
                while (true)
                {
                    await port.ReadyAsync(closing.Token).ConfigureAwait(false);
                    for (var batch = port.Drain(DrainBytes); batch.Length > 0; batch = port.Drain(DrainBytes))
                    {
                        var records = new RecordReader(batch);
                        while (!records.IsEmpty)
                        {
                            if (!Take(new RecordReader(records.ReadBytes())))
                            {
                                return;
                            }
                        }

                        // The word that everything is over may come before the one that an outcome has been taken.
                        if (isStopped && !pending.Values.Any(static request => request.IsConclusion))
                        {
                            Finish(null);
                            return;
                        }
                    }
                }
            }
            catch (OperationCanceledException) when (closing.IsCancellationRequested)
            {
                Finish(null);
            }
            catch (Exception error)
            {
                Finish(Translate(error));
            }
        }

        /// <summary>Takes one record; false where it says that the port is lost.</summary>
        private bool Take(RecordReader record)
        {
            switch (record.ReadU8())
            {
                case 1:
                    var activation = Activation.Read(this, ref record);
                    active[activation.Invocation] = activation;
                    activated!(activation);
                    return true;
                case 2:
                    if (active.TryGetValue(record.ReadU64(), out var cancelled))
                    {
                        cancelled.Cancel(record.ReadU16());
                    }

                    return true;
                case 3:
                    if (pending.TryRemove(record.ReadU64(), out var request))
                    {
                        if (record.ReadU8() == 0)
                        {
                            request.Complete(record.Rest);
                        }
                        else
                        {
                            request.Fail(record.ReadError());
                        }
                    }

                    return true;
                case 4:
                    isStopped = true;
                    if (!record.ReadBool())
                    {
                        return true;
                    }

                    Finish(record.ReadError());
                    return false;
                default:
                    // A later version of the native library may have more to say.
                    return true;
            }
        }

        /// <summary>Tells everyone who waits that nothing will come any more.</summary>
        private void Finish(PerperException? reason)
        {
            var told = reason ?? PerperException.Closed("the connection to the Fabric has been closed");
            lock (gate)
            {
                over ??= told;
            }

            foreach (var (number, _) in pending)
            {
                if (pending.TryRemove(number, out var request))
                {
                    request.Fail(told);
                }
            }

            foreach (var (_, activation) in active)
            {
                activation.Cancel(4);
            }

            ended.TrySetResult(reason);
        }

        internal static PerperException Translate(Exception error) => error switch
        {
            Generated.NativeErrorException.Failed failed => PerperException.Create(
                failed.Code,
                failed.Reason,
                failed.Text,
                failed.Details,
                failed.Failure is { } failure ? (failure.TypeName, failure.Message, failure.StackTrace) : null),
            PerperException known => known,
            ObjectDisposedException => PerperException.Closed("the connection to the Fabric has been closed"),
            _ => new PerperException(100, "INTERNAL", $"the native library failed: {error.Message}"),
        };

        /// <summary>An activation is over, whatever came of it.</summary>
        internal void Forget(Activation activation) => active.TryRemove(activation.Invocation, out _);

        /// <summary>A request is not waited for any more.</summary>
        internal void Abandon(ulong number)
        {
            if (pending.TryRemove(number, out _))
            {
                try
                {
                    Tell(Operation.Cancel, number, static (record, number) => record.WriteU64(number));
                }
                catch (PerperException)
                {
                    // There is nothing left that could be given up.
                }
            }
        }

        public async ValueTask DisposeAsync()
        {
            closing.Cancel();
            await pump.ConfigureAwait(false);
            Finish(null);
            port.Dispose();
            closing.Dispose();
        }
    }

    /// <summary>Somebody who is asked for records when a batch is made, so as to say many things at once.</summary>
    internal interface IOutgoing
    {
        void Write(PortClient port);
    }

    /// <summary>A request on its way.</summary>
    internal sealed class PendingRequest : TaskCompletionSource<ReadOnlyMemory<byte>>
    {
        private readonly PortClient port;
        private readonly ulong number;
        private CancellationTokenRegistration registration;
        private CancellationToken cancellation;

        internal PendingRequest(PortClient port, ulong number) : base(TaskCreationOptions.RunContinuationsAsynchronously)
        {
            this.port = port;
            this.number = number;
        }

        /// <summary>It tells the outcome of an execution.</summary>
        internal bool IsConclusion { get; init; }

        internal void CancelWith(CancellationToken token)
        {
            if (!token.CanBeCanceled)
            {
                return;
            }

            cancellation = token;
            registration = token.UnsafeRegister(static state =>
            {
                var request = (PendingRequest)state!;
                if (request.TrySetCanceled(request.cancellation))
                {
                    request.port.Abandon(request.number);
                }
            }, this);
            if (Task.IsCompleted)
            {
                registration.Unregister();
            }
        }

        internal void Complete(ReadOnlyMemory<byte> answer)
        {
            registration.Unregister();
            TrySetResult(answer);
        }

        internal void Fail(Exception error)
        {
            registration.Unregister();
            TrySetException(error);
        }
    }
}
