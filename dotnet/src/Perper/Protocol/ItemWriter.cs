using System;
using System.Collections.Generic;
using System.Threading.Tasks;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>
    /// Writes items of a stream as fast as they come. While one batch is on its way the next is gathered, so the batches
    /// are as large as the writer is fast; past a bound the writer waits.
    /// </summary>
    internal sealed class ItemWriter : IOutgoing
    {
        private const int MaxBytes = 1 << 20;
        private const int MaxItems = 8192;

        private readonly PortClient port;
        private readonly ulong number;
        private readonly object gate = new();
        private readonly Queue<Batch> batches = new();
        private readonly ValueWriter scratch = new();
        private Batch? last;
        private int gathered;
        private int gatheredBytes;
        private bool isSending;
        private bool isAnnounced;
        private Exception? error;
        private TaskCompletionSource? changed;

        internal ItemWriter(PortClient port, ulong invocation, string stream, ulong stride)
        {
            this.port = port;
            number = port.NewNumber();
            port.Tell(Operation.OpenWriter, (invocation, number, stream, stride), static (record, it) =>
            {
                record.WriteU64(it.invocation);
                record.WriteU64(it.number);
                record.WriteText(it.stream);
                record.WriteU64(it.stride);
            });
        }

        /// <summary>Items that go together: all of them have keys, or none has.</summary>
        private sealed class Batch
        {
            internal ValueWriter Items { get; } = new();

            internal bool IsKeyed { get; init; }

            internal int Count { get; set; }
        }

        /// <summary>Writes an item; waits only while much is on its way.</summary>
        internal ValueTask WriteAsync<T>(long? key, T item)
        {
            // Outside of the lock, since it runs code of the item's type.
            scratch.Clear();
            Converters.Write(scratch, item);
            lock (gate)
            {
                Throw();
                if (last is null || last.IsKeyed != key.HasValue)
                {
                    last = new Batch { IsKeyed = key.HasValue };
                    batches.Enqueue(last);
                }

                if (key is { } at)
                {
                    System.Buffers.Binary.BinaryPrimitives.WriteInt64LittleEndian(last.Items.Take(8), at);
                }

                System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(last.Items.Take(4), (uint)scratch.Length);
                last.Items.WriteEncoded(scratch.Written);
                last.Count++;
                gathered++;
                gatheredBytes += scratch.Length;
                Announce();
                return gathered < MaxItems && gatheredBytes < MaxBytes ? default : new ValueTask(WaitForRoomAsync());
            }
        }

        private void Throw()
        {
            if (error is not null)
            {
                throw error;
            }
        }

        private void Announce()
        {
            if (!isSending && !isAnnounced)
            {
                isAnnounced = true;
                port.Announce(this);
            }
        }

        private async Task WaitForRoomAsync()
        {
            while (true)
            {
                Task waiting;
                lock (gate)
                {
                    Throw();
                    if (gathered < MaxItems && gatheredBytes < MaxBytes)
                    {
                        return;
                    }

                    waiting = Changed();
                }

                await waiting.ConfigureAwait(false);
            }
        }

        private Task Changed() => (changed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

        void IOutgoing.Write(PortClient port)
        {
            Task sending;
            lock (gate)
            {
                isAnnounced = false;
                if (isSending || batches.Count == 0)
                {
                    return;
                }

                var batch = batches.Dequeue();
                if (batch == last)
                {
                    last = null;
                }

                isSending = true;
                gathered -= batch.Count;
                gatheredBytes -= batch.Items.Length - batch.Count * (batch.IsKeyed ? 12 : 4);
                // Within the lock, so that nobody closes the writer in between.
                sending = port.RequestAsync(Operation.WriteItems, (number, batch), static (record, it) =>
                {
                    record.WriteU64(it.number);
                    record.WriteBool(it.batch.IsKeyed);
                    record.WriteCount(it.batch.Count);
                    record.WriteRaw(it.batch.Items.Written);
                });
            }

            sending.ContinueWith(static (sent, writer) => ((ItemWriter)writer!).Sent(sent), this, TaskScheduler.Default);
        }

        private void Sent(Task sent)
        {
            TaskCompletionSource? told;
            lock (gate)
            {
                isSending = false;
                error ??= sent.Exception?.InnerException;
                if (error is null && batches.Count > 0)
                {
                    Announce();
                }

                told = changed;
                changed = null;
            }

            told?.TrySetResult();
        }

        /// <summary>Waits until everything written so far is in the stream.</summary>
        internal async Task FlushAsync()
        {
            while (true)
            {
                Task waiting;
                lock (gate)
                {
                    Throw();
                    if (!isSending && batches.Count == 0)
                    {
                        break;
                    }

                    waiting = Changed();
                }

                await waiting.ConfigureAwait(false);
            }

            await port.RequestAsync(Operation.FlushWriter, number, static (record, number) => record.WriteU64(number)).ConfigureAwait(false);
        }

        /// <summary>Frees what the native library keeps for this writer. What has not been flushed may be lost.</summary>
        internal void Close()
        {
            lock (gate)
            {
                error ??= PerperException.Closed("the writer has been closed");
                batches.Clear();
                try
                {
                    port.Tell(Operation.CloseWriter, number, static (record, number) => record.WriteU64(number));
                }
                catch (PerperException)
                {
                    // It went with the connection.
                }
            }
        }
    }
}
