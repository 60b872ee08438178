using System;
using System.Threading;
using System.Threading.Tasks;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>
    /// Reads a stream batch by batch. What has been processed is told as soon as the next batch of requests goes out,
    /// however many items that are by then.
    /// </summary>
    internal sealed class ItemListener : IOutgoing
    {
        private readonly PortClient port;
        private readonly ulong number;
        private readonly Task<ReadOnlyMemory<byte>> attached;
        private readonly CancellationToken cancellation;
        private readonly object gate = new();
        private long processed;
        private bool isAnnounced;
        private bool isClosed;

        internal ItemListener(Scope scope, PerperStream stream, string? name, CancellationToken cancellationToken)
        {
            port = scope.Port;
            number = port.NewNumber();
            cancellation = cancellationToken;
            attached = port.RequestAsync(Operation.AttachListener, (number, stream, name, scope.Owner), static (record, it) =>
            {
                record.WriteU64(it.number);
                record.WriteText(it.stream.Stream);
                record.WriteText(it.name);
                record.WriteText(it.Owner);
                record.WriteU8(it.stream.Start switch { null => 0, PerperStream.StartIndexBeginning => 1, _ => 2 });
                record.WriteI64(it.stream.Start ?? 0);
                record.WriteU64(0);
                record.WriteU64(0);
                record.WriteBool(it.stream.LocalToData);
            }, cancellationToken);
        }

        /// <summary>Waits until nothing that comes from now on will be missed.</summary>
        internal Task AttachedAsync() => attached;

        /// <summary>The next batch; null at the end. It says that the batch before has been processed.</summary>
        internal async Task<ItemBatch?> NextAsync()
        {
            lock (gate)
            {
                isAnnounced = false;
            }

            var answer = await port.RequestAsync(Operation.NextItems, number, static (record, number) => record.WriteU64(number), cancellation).ConfigureAwait(false);
            var reader = new RecordReader(answer);
            return reader.ReadU8() == 4 ? new ItemBatch(reader) : null;
        }

        /// <summary>Everything through that key has been processed.</summary>
        internal void Processed(long key)
        {
            lock (gate)
            {
                processed = key;
                if (isAnnounced)
                {
                    return;
                }

                isAnnounced = true;
            }

            port.Announce(this);
        }

        void IOutgoing.Write(PortClient port)
        {
            lock (gate)
            {
                // Asking for the next batch has told it meanwhile.
                if (isAnnounced && !isClosed)
                {
                    isAnnounced = false;
                    Tell(processed);
                }
            }
        }

        private void Tell(long key) => port.Tell(Operation.Processed, (number, key), static (record, it) =>
        {
            record.WriteU64(it.number);
            record.WriteI64(it.key);
        });

        /// <summary>Detaches without waiting. What has not been told as processed is not.</summary>
        internal void Close()
        {
            try
            {
                lock (gate)
                {
                    isClosed = true;
                    if (isAnnounced)
                    {
                        Tell(processed);
                    }

                    port.Tell(Operation.DetachListener, number, static (record, number) => record.WriteU64(number));
                }
            }
            catch (PerperException)
            {
                // It went with the connection.
            }

            // Whoever left before it was attached is not told how that ended.
            _ = attached.ContinueWith(static attached => _ = attached.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    /// <summary>Items as they came: keys, and values end to end.</summary>
    internal sealed class ItemBatch
    {
        private RecordReader keys;
        private readonly ReadOnlyMemory<byte> values;
        private int left;
        private int position;

        internal ItemBatch(RecordReader reader) => values = Read(ref reader);

        private ReadOnlyMemory<byte> Read(ref RecordReader reader)
        {
            left = reader.ReadCount();
            keys = reader;
            for (var index = 0; index < left; index++)
            {
                reader.ReadI64();
            }

            return reader.ReadBytes();
        }

        internal static ItemBatch Read(ref RecordReader reader, out RecordReader rest)
        {
            var batch = new ItemBatch(reader);
            reader.ReadCount();
            for (var index = 0; index < batch.left; index++)
            {
                reader.ReadI64();
            }

            reader.ReadBytes();
            rest = reader;
            return batch;
        }

        /// <summary>The next item, decoded; false after the last.</summary>
        internal bool TryNext<T>(out long key, out T value)
        {
            if (left == 0)
            {
                (key, value) = (0, default!);
                return false;
            }

            left--;
            key = keys.ReadI64();
            // A length of seven bits a byte, the lowest first.
            var span = values.Span;
            int length = 0, shift = 0;
            byte next;
            do
            {
                next = span[position++];
                length |= (next & 0x7f) << shift;
                shift += 7;
            }
            while (next >= 0x80);
            var encoded = span.Slice(position, length);
            position += length;
            try
            {
                value = PerperValues.DeserializeTrusted<T>(encoded);
            }
            catch (PerperValueException error)
            {
                throw error.Within($"item {key}");
            }

            return true;
        }
    }
}
