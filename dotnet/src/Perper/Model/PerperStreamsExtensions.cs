using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace Perper.Model
{
    /// <summary>What is often wanted of streams.</summary>
    public static class PerperStreamsExtensions
    {
        /// <summary>The same stream, read from the first item kept; or, with false, from the latest on.</summary>
        public static PerperStream Replay(this PerperStream stream, bool replay = true) =>
            stream.With(replay ? PerperStream.StartIndexBeginning : null, stream.LocalToData);

        /// <summary>The same stream, read from a key on, inclusive.</summary>
        public static PerperStream Replay(this PerperStream stream, long replayFromKey) => stream.With(replayFromKey, stream.LocalToData);

        /// <summary>The same stream, of which only the items are read that are stored where the reader is.</summary>
        public static PerperStream LocalToData(this PerperStream stream, bool localToData = true) => stream.With(stream.Start, localToData);

        /// <summary>Creates a blank stream, which anybody may write.</summary>
        public static async Task<PerperStream> CreateAsync(this IPerperStreams streams, PerperStreamOptions options)
        {
            var (stream, create) = streams.Create(options);
            await create().ConfigureAwait(false);
            return stream;
        }

        /// <summary>Creates a stream that an execution will fill.</summary>
        public static async Task<PerperStream> CreateAsync(this IPerperStreams streams, PerperStreamOptions options, PerperExecution execution)
        {
            var (stream, create) = streams.Create(options, execution);
            await create().ConfigureAwait(false);
            return stream;
        }

        /// <summary>The items of a stream, in order, from where the reference says.</summary>
        public static IAsyncEnumerable<TItem> EnumerateAsync<TItem>(this IPerper perper, PerperStream stream, string? listenerName = null, CancellationToken cancellationToken = default) =>
            perper.Streams.EnumerateAsync<TItem>(stream, listenerName, cancellationToken);

        /// <summary>The items of a stream with their keys.</summary>
        public static IAsyncEnumerable<(long Key, TItem Value)> EnumerateItemsAsync<TItem>(this IPerper perper, PerperStream stream, string? listenerName = null, CancellationToken cancellationToken = default) =>
            perper.Streams.EnumerateItemsAsync<TItem>(stream, listenerName, cancellationToken);
    }
}
