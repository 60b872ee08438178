using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;

using Perper.Model;

namespace Perper.Protocol
{
    internal sealed partial class ScopedPerper
    {
        (PerperStream Stream, Func<Task> Create) IPerperStreams.Create(PerperStreamOptions options)
        {
            var stream = NewStream(options);
            return (stream, () => CreateStreamAsync(stream, options, declared: false, linkedExecution: ""));
        }

        (PerperStream Stream, Func<Task> Create) IPerperStreams.Create(PerperStreamOptions options, PerperExecution execution)
        {
            var stream = NewStream(options);
            return (stream, () => CreateStreamAsync(stream, options, declared: false, execution.Execution));
        }

        internal PerperStream NewStream(PerperStreamOptions options) => new(fabric.NewId(), PerperStream.StartIndexLatest, options.Stride);

        internal Task CreateStreamAsync(PerperStream stream, PerperStreamOptions options, bool declared, string linkedExecution) =>
            Scope.Port.RequestAsync(Operation.CreateStream, (Scope, stream, options, declared, linkedExecution), WriteStream);

        /// <summary>As <see cref="CreateStreamAsync"/>, without waiting; a failure is that of the execution.</summary>
        internal void DeclareStream(PerperStream stream, PerperStreamOptions options) =>
            Scope.Port.Tell(Operation.CreateStream, (Scope, stream, options, declared: true, linkedExecution: ""), WriteStream);

        private static void WriteStream(RecordWriter record, (Scope Scope, PerperStream Stream, PerperStreamOptions Options, bool Declared, string LinkedExecution) it)
        {
            record.WriteU64(it.Scope.Invocation);
            record.WriteText(it.Stream.Stream);
            record.WriteStreamOptions(it.Options);
            record.WriteText(it.Scope.Owner);
            record.WriteBool(it.Declared);
            record.WriteText(it.LinkedExecution);
        }

        /// <summary>Starts the generator of a stream: an execution that outlives its maker.</summary>
        internal async Task<PerperStream> StartStreamAsync(PerperStream stream, bool declared, PerperAgent agent, string @delegate, PerperStreamOptions options, object?[] arguments)
        {
            var execution = fabric.NewId();
            var scope = Scope;
            var prepared = declared
                ? scope.Port.RequestAsync(Operation.StartStream, (scope, stream, options, execution), static (record, it) =>
                {
                    record.WriteU64(it.scope.Invocation);
                    record.WriteText(it.stream.Stream);
                    record.WriteStreamOptions(it.options);
                    record.WriteText(it.execution);
                })
                : CreateStreamAsync(stream, options, declared: false, execution);
            var started = scope.Port.RequestAsync(Operation.CreateExecution, (scope, execution, agent, @delegate, stream, options, arguments), static (record, it) =>
            {
                record.WriteU64(it.scope.Invocation);
                record.WriteBool(false);
                record.WriteU64(0);
                WriteCall(record, it.execution, it.agent, it.@delegate, it.arguments);
                record.WriteText(it.scope.Owner);
                record.WriteText(it.stream.Stream);
                record.WriteBool(!it.options.Action);
                record.WriteBool(false);
            });
            await Task.WhenAll(prepared, started).ConfigureAwait(false);
            return stream;
        }

        public Task WaitForListenerAsync(PerperStream stream, CancellationToken cancellationToken) => AskStream(Operation.WaitForListener, stream, cancellationToken);

        public Task DestroyAsync(PerperStream stream) => AskStream(Operation.DestroyStream, stream, default);

        private Task AskStream(Operation operation, PerperStream stream, CancellationToken cancellationToken) =>
            Scope.Port.RequestAsync(operation, (Scope, stream), static (record, it) =>
            {
                record.WriteU64(it.Scope.Invocation);
                record.WriteText(it.stream.Stream);
            }, cancellationToken);

        public Task RemoveListenerAsync(PerperStream stream, string listenerName) =>
            Scope.Port.RequestAsync(Operation.RemoveListener, (Scope, stream, listenerName), static (record, it) =>
            {
                record.WriteU64(it.Scope.Invocation);
                record.WriteText(it.stream.Stream);
                record.WriteText(it.listenerName);
            });

        public Task CompleteAsync(PerperStream stream, Exception? exception) =>
            Scope.Port.RequestAsync(Operation.CompleteStream, (Scope, stream, exception), static (record, it) =>
            {
                record.WriteU64(it.Scope.Invocation);
                record.WriteText(it.stream.Stream);
                record.WriteBool(it.exception is not null);
                if (it.exception is not null)
                {
                    record.WriteFailure(it.exception);
                }
            });

        public Task WriteItemAsync<TItem>(PerperStream stream, long key, TItem item) => WriteOneAsync(stream, key, item);

        public Task WriteItemAsync<TItem>(PerperStream stream, TItem item) => WriteOneAsync(stream, null, item);

        public async Task<long> AppendItemAsync<TItem>(PerperStream stream, TItem item)
        {
            var answer = await Scope.Port.RequestAsync(Operation.WriteItem, (stream, item), static (record, it) =>
            {
                record.WriteText(it.stream.Stream);
                record.WriteValue(it.item);
            }).ConfigureAwait(false);
            return new RecordReader(answer).Expect(2).ReadI64();
        }

        private async Task WriteOneAsync<TItem>(PerperStream stream, long? key, TItem item)
        {
            var writer = NewWriter(stream);
            try
            {
                await writer.WriteAsync(key, item).ConfigureAwait(false);
                await writer.FlushAsync().ConfigureAwait(false);
            }
            finally
            {
                writer.Close();
            }
        }

        /// <summary>For the stream that the current execution fills, with its reservation.</summary>
        private ItemWriter NewWriter(PerperStream stream)
        {
            var isOwn = Scope.Activation?.LinkedStream is { } linked && linked.Stream == stream.Stream;
            return new ItemWriter(Scope.Port, isOwn ? Scope.Invocation : 0, stream.Stream, (ulong)stream.Stride);
        }

        public async Task WriteItemsAsync<TItem>(PerperStream stream, IAsyncEnumerable<TItem> items, CancellationToken cancellationToken)
        {
            var writer = NewWriter(stream);
            try
            {
                await foreach (var item in items.WithCancellation(cancellationToken).ConfigureAwait(false))
                {
                    await writer.WriteAsync(null, item).ConfigureAwait(false);
                }

                await writer.FlushAsync().ConfigureAwait(false);
            }
            finally
            {
                writer.Close();
            }
        }

        public async Task WriteKeyedItemsAsync<TItem>(PerperStream stream, IAsyncEnumerable<(long Key, TItem Item)> items, CancellationToken cancellationToken)
        {
            var writer = NewWriter(stream);
            try
            {
                await foreach (var (key, item) in items.WithCancellation(cancellationToken).ConfigureAwait(false))
                {
                    await writer.WriteAsync(key, item).ConfigureAwait(false);
                }

                await writer.FlushAsync().ConfigureAwait(false);
            }
            finally
            {
                writer.Close();
            }
        }

        // The context is that of the place where the enumeration is asked for, not where its first item is.
        public IAsyncEnumerable<(long Key, TItem Value)> EnumerateItemsAsync<TItem>(PerperStream stream, string? listenerName, CancellationToken cancellationToken) =>
            EnumerateItems<TItem>(Scope, stream, listenerName, cancellationToken);

        public IAsyncEnumerable<TItem> EnumerateAsync<TItem>(PerperStream stream, string? listenerName, CancellationToken cancellationToken) =>
            Enumerate<TItem>(Scope, stream, listenerName, cancellationToken);

        private static async IAsyncEnumerable<(long Key, TItem Value)> EnumerateItems<TItem>(Scope scope, PerperStream stream, string? listenerName, [EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            using var cancelling = WithExecution(scope, ref cancellationToken);
            var listener = new ItemListener(scope, stream, listenerName, cancellationToken);
            try
            {
                await listener.AttachedAsync().ConfigureAwait(false);
                while (await listener.NextAsync().ConfigureAwait(false) is { } batch)
                {
                    while (batch.TryNext<TItem>(out var key, out var value))
                    {
                        cancellationToken.ThrowIfCancellationRequested();
                        yield return (key, value);
                        listener.Processed(key);
                    }
                }
            }
            finally
            {
                listener.Close();
            }
        }

        // The same without keys, rather than over it: an iterator less for each item.
        private static async IAsyncEnumerable<TItem> Enumerate<TItem>(Scope scope, PerperStream stream, string? listenerName, [EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            using var cancelling = WithExecution(scope, ref cancellationToken);
            var listener = new ItemListener(scope, stream, listenerName, cancellationToken);
            try
            {
                await listener.AttachedAsync().ConfigureAwait(false);
                while (await listener.NextAsync().ConfigureAwait(false) is { } batch)
                {
                    while (batch.TryNext<TItem>(out var key, out var value))
                    {
                        cancellationToken.ThrowIfCancellationRequested();
                        yield return value;
                        listener.Processed(key);
                    }
                }
            }
            finally
            {
                listener.Close();
            }
        }

        /// <summary>A loop over a stream ends with the execution that it runs in.</summary>
        private static CancellationTokenSource? WithExecution(Scope scope, ref CancellationToken cancellationToken)
        {
            if (scope.Activation is null)
            {
                return null;
            }

            var source = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, scope.Activation.Cancellation);
            cancellationToken = source.Token;
            return source;
        }

        public IQueryable<TItem> Query<TItem>(PerperStream stream)
        {
            var scope = Scope;
            return Read().AsQueryable();

            IEnumerable<TItem> Read()
            {
                var from = stream.Start == PerperStream.StartIndexBeginning ? null : stream.Start;
                while (true)
                {
                    var answer = Task.Run(() => scope.Port.RequestAsync(Operation.ReadItems, (stream, from), static (record, it) =>
                    {
                        record.WriteU64(0);
                        record.WriteText(it.stream.Stream);
                        record.WriteBool(it.from.HasValue);
                        record.WriteI64(it.from ?? 0);
                        record.WriteU32(1024);
                    })).GetAwaiter().GetResult();
                    var page = new RecordReader(answer).Expect(12);
                    long? last = null;
                    for (var batches = page.ReadCount(); batches > 0; batches--)
                    {
                        var batch = ItemBatch.Read(ref page, out page);
                        while (batch.TryNext<TItem>(out var key, out var item))
                        {
                            last = key;
                            yield return item;
                        }
                    }

                    if (last is null or long.MaxValue)
                    {
                        yield break;
                    }

                    from = last + 1;
                }
            }
        }

        public IAsyncEnumerable<TItem> QuerySqlAsync<TItem>(PerperStream stream, string sqlCondition, params object[] sqlParameters) =>
            throw new PerperException(14, "FEATURE_NOT_SUPPORTED", "this Fabric does not answer queries in SQL; use Query, which filters here");
    }
}
