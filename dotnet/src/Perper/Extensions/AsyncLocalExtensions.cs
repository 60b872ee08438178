using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

using Perper.Model;
using Perper.Protocol;

namespace Perper.Extensions
{
    /// <summary>Operations on references, in the current context.</summary>
    public static class AsyncLocalExtensions
    {
        private static IPerperContext Current => Extensions.PerperContext.Current;

        /// <summary>The context of the surrounding code, as <see cref="Extensions.PerperContext.Current"/>.</summary>
        public static IPerperContext PerperContext => Current;

        private static IPerperStates States => Extensions.PerperContext.Current.States;

        /// <summary>Makes a context that of the surrounding code, until the result is disposed.</summary>
        public static IDisposable UseContext(this IPerperContext context)
        {
            var former = Scope.Current;
            Scope.Current = context is ScopedPerper scoped ? scoped.Scope : throw PerperException.InvalidArgument($"{context.GetType()} is not a context of this library; use one that it made");
            return new Extensions.PerperContext.Restoring(() => Scope.Current = former);
        }

        /// <summary>Calls an instance and waits for the result. A <see cref="CancellationToken"/> among the parameters is the call's own.</summary>
        public static Task<TResult> CallAsync<TResult>(this PerperAgent agent, string @delegate, params object?[] parameters) =>
            Current.CallAsync<TResult>(agent, @delegate, parameters);

        /// <summary>Calls an instance and waits until it has answered.</summary>
        public static Task CallAsync(this PerperAgent agent, string @delegate, params object?[] parameters) =>
            Current.CallAsync(agent, @delegate, parameters);

        /// <summary>Stops an instance, and destroys what it owns. False when there was none.</summary>
        public static Task<bool> DestroyAsync(this PerperAgent agent) =>
            Current.Agents.DestroyAsync(agent);

        /// <summary>The items with their keys, in order, from where the reference says. A name makes the listener durable.</summary>
        public static IAsyncEnumerable<(long Key, TItem Value)> EnumerateItemsAsync<TItem>(this PerperStream stream, string? listenerName = null, CancellationToken cancellationToken = default) =>
            Current.EnumerateItemsAsync<TItem>(stream, listenerName, cancellationToken);

        /// <summary>The items, in order, from where the reference says. A name makes the listener durable.</summary>
        public static IAsyncEnumerable<TItem> EnumerateAsync<TItem>(this PerperStream stream, string? listenerName = null, CancellationToken cancellationToken = default) =>
            Current.EnumerateAsync<TItem>(stream, listenerName, cancellationToken);

        /// <summary>The items that are in the stream now, to query. They are read when the query is enumerated, which blocks.</summary>
        public static IQueryable<TItem> Query<TItem>(this PerperStream stream) =>
            Current.Streams.Query<TItem>(stream);

        /// <summary>Queries a stream in SQL, where the Fabric offers that.</summary>
        public static IAsyncEnumerable<TItem> QuerySqlAsync<TItem>(this PerperStream stream, string sqlCondition, params object[] sqlParameters) =>
            Current.Streams.QuerySqlAsync<TItem>(stream, sqlCondition, sqlParameters);

        /// <summary>Destroys a stream and its items.</summary>
        public static Task DestroyAsync(this PerperStream stream) =>
            Current.Streams.DestroyAsync(stream);

        /// <summary>Writes an item at a key, and waits until it is in the stream.</summary>
        public static Task WriteItemAsync<TItem>(this PerperStream stream, long key, TItem item) =>
            Current.Streams.WriteItemAsync(stream, key, item);

        /// <summary>Writes an item with an automatic key, and waits until it is in the stream.</summary>
        public static Task WriteItemAsync<TItem>(this PerperStream stream, TItem item) =>
            Current.Streams.WriteItemAsync(stream, item);

        /// <summary>Writes an item to a blank stream, waits until it is there, and gives the key that it got.</summary>
        public static Task<long> AppendItemAsync<TItem>(this PerperStream stream, TItem item) =>
            Current.Streams.AppendItemAsync(stream, item);

        /// <summary>Writes items as fast as they come, in batches, and waits until they are in the stream.</summary>
        public static Task WriteItemsAsync<TItem>(this PerperStream stream, IAsyncEnumerable<TItem> items, CancellationToken cancellationToken = default) =>
            Current.Streams.WriteItemsAsync(stream, items, cancellationToken);

        /// <summary>Writes items with keys as fast as they come, in batches, and waits until they are in the stream.</summary>
        public static Task WriteKeyedItemsAsync<TItem>(this PerperStream stream, IAsyncEnumerable<(long Key, TItem Item)> items, CancellationToken cancellationToken = default) =>
            Current.Streams.WriteKeyedItemsAsync(stream, items, cancellationToken);

        /// <summary>Ends a stream: well, or with an error that its listeners get after the items.</summary>
        public static Task CompleteAsync(this PerperStream stream, Exception? exception = null) =>
            Current.Streams.CompleteAsync(stream, exception);

        /// <summary>Waits until somebody listens.</summary>
        public static Task WaitForListenerAsync(this PerperStream stream, CancellationToken cancellationToken = default) =>
            Current.Streams.WaitForListenerAsync(stream, cancellationToken);

        /// <summary>Removes a named listener, and what was kept for it.</summary>
        public static Task RemoveListenerAsync(this PerperStream stream, string listenerName) =>
            Current.Streams.RemoveListenerAsync(stream, listenerName);

        /// <summary>The value of a key, if it is present.</summary>
        public static Task<(bool Exists, T Value)> TryGetAsync<T>(this PerperDictionary dictionary, string key) =>
            States.TryGetAsync<string, T>(dictionary, key);

        /// <summary>Writes an entry.</summary>
        public static Task SetAsync<T>(this PerperDictionary dictionary, string key, T value) =>
            States.SetAsync(dictionary, key, value);

        /// <summary>Removes an entry. False if the key was absent.</summary>
        public static Task<bool> RemoveAsync(this PerperDictionary dictionary, string key) =>
            States.RemoveAsync(dictionary, key);

        /// <summary>The value of a key, or another where it is absent.</summary>
        public static Task<T> GetOrDefaultAsync<T>(this PerperDictionary dictionary, string key, T @default = default!) =>
            States.GetOrDefaultAsync(dictionary, key, @default);

        /// <summary>The value of a key; where it is absent, a new one is made and written.</summary>
        public static Task<T> GetOrNewAsync<T>(this PerperDictionary dictionary, string key) where T : new() =>
            States.GetOrNewAsync<string, T>(dictionary, key);

        /// <summary>The value of a key; where it is absent, a new one is made and written.</summary>
        public static Task<T> GetOrNewAsync<T>(this PerperDictionary dictionary, string key, Func<T> createFunc) =>
            States.GetOrNewAsync(dictionary, key, createFunc);

        /// <summary>Writes an entry.</summary>
        public static Task SetAsync<TKey, TValue>(this PerperDictionary dictionary, TKey key, TValue value) =>
            States.SetAsync(dictionary, key, value);

        /// <summary>Writes an entry if its present value equals the old one: compare and set.</summary>
        public static Task<bool> SetIfNotChangedAsync<TKey, TValue>(this PerperDictionary dictionary, TKey key, TValue oldValue, TValue value) =>
            States.SetIfNotChangedAsync(dictionary, key, oldValue, value);

        /// <summary>Writes an entry if the key is absent.</summary>
        public static Task<bool> SetIfNotExistingAsync<TKey, TValue>(this PerperDictionary dictionary, TKey key, TValue value) =>
            States.SetIfNotExistingAsync(dictionary, key, value);

        /// <summary>The value of a key, if it is present.</summary>
        public static Task<(bool Exists, TValue Value)> TryGetAsync<TKey, TValue>(this PerperDictionary dictionary, TKey key) =>
            States.TryGetAsync<TKey, TValue>(dictionary, key);

        /// <summary>The value of a key, or another where it is absent.</summary>
        public static Task<TValue> GetOrDefaultAsync<TKey, TValue>(this PerperDictionary dictionary, TKey key, TValue @default = default!) =>
            States.GetOrDefaultAsync(dictionary, key, @default);

        /// <summary>The value of a key; where it is absent, a new one is made and written.</summary>
        public static Task<TValue> GetOrNewAsync<TKey, TValue>(this PerperDictionary dictionary, TKey key) where TValue : new() =>
            States.GetOrNewAsync<TKey, TValue>(dictionary, key);

        /// <summary>The value of a key; where it is absent, a new one is made and written.</summary>
        public static Task<TValue> GetOrNewAsync<TKey, TValue>(this PerperDictionary dictionary, TKey key, Func<TValue> createFunc) =>
            States.GetOrNewAsync(dictionary, key, createFunc);

        /// <summary>Writes an entry if the key is present, and gives the former value.</summary>
        public static Task<(bool Exists, TValue Value)> TryGetAndReplaceAsync<TKey, TValue>(this PerperDictionary dictionary, TKey key, TValue newValue) =>
            States.TryGetAndReplaceAsync(dictionary, key, newValue);

        /// <summary>Removes an entry, and gives its value if it was present.</summary>
        public static Task<(bool Exists, TValue Value)> TryGetAndRemoveAsync<TKey, TValue>(this PerperDictionary dictionary, TKey key) =>
            States.TryGetAndRemoveAsync<TKey, TValue>(dictionary, key);

        /// <summary>Removes an entry. False if the key was absent.</summary>
        public static Task<bool> RemoveAsync<TKey>(this PerperDictionary dictionary, TKey key) =>
            States.RemoveAsync(dictionary, key);

        /// <summary>Removes an entry if its present value equals the old one.</summary>
        public static Task<bool> RemoveIfNotChangedAsync<TKey, TValue>(this PerperDictionary dictionary, TKey key, TValue oldValue) =>
            States.RemoveIfNotChangedAsync(dictionary, key, oldValue);

        /// <summary>Whether a key is present.</summary>
        public static Task<bool> ContainsKeyAsync<TKey>(this PerperDictionary dictionary, TKey key) =>
            States.ContainsKeyAsync(dictionary, key);

        /// <summary>Carries out several operations, whole or not at all. False when the condition of one did not hold.</summary>
        public static Task<bool> ApplyAsync(this PerperDictionary dictionary, PerperDictionaryBatch batch) =>
            States.ApplyAsync(dictionary, batch);

        /// <summary>Every entry. A key that is present throughout comes exactly once.</summary>
        public static IAsyncEnumerable<(TKey Key, TValue Value)> EnumerateItemsAsync<TKey, TValue>(this PerperDictionary dictionary) =>
            States.EnumerateItemsAsync<TKey, TValue>(dictionary);

        /// <summary>The number of entries.</summary>
        public static Task<int> CountAsync(this PerperDictionary dictionary) =>
            States.CountAsync(dictionary);

        /// <summary>Removes all entries.</summary>
        public static Task ClearAsync(this PerperDictionary dictionary) =>
            States.ClearAsync(dictionary);

        /// <summary>Destroys a dictionary and its entries.</summary>
        public static Task DestroyAsync(this PerperDictionary dictionary) =>
            States.DestroyAsync(dictionary);

        /// <summary>Every element.</summary>
        public static IAsyncEnumerable<TValue> EnumerateAsync<TValue>(this PerperList list) =>
            States.EnumerateAsync<TValue>(list);

        /// <summary>The number of elements.</summary>
        public static Task<int> CountAsync(this PerperList list) =>
            States.CountAsync(list);

        /// <summary>Adds an element at the end.</summary>
        public static Task<int> AddAsync<TValue>(this PerperList list, TValue value) =>
            States.AddAsync(list, value);

        /// <summary>Takes the last element.</summary>
        public static Task<TValue> PopAsync<TValue>(this PerperList list) =>
            States.PopAsync<TValue>(list);

        /// <summary>Takes the first element.</summary>
        public static Task<TValue> DequeueAsync<TValue>(this PerperList list) =>
            States.DequeueAsync<TValue>(list);

        /// <summary>Inserts an element before an index.</summary>
        public static Task InsertAtAsync<TValue>(this PerperList list, int atIndex, TValue value) =>
            States.InsertAtAsync(list, atIndex, value);

        /// <summary>Removes the element at an index.</summary>
        public static Task RemoveAtAsync(this PerperList list, int atIndex) =>
            States.RemoveAtAsync(list, atIndex);

        /// <summary>Removes the element at an index, and gives it.</summary>
        public static Task<TValue> TakeAtAsync<TValue>(this PerperList list, int atIndex) =>
            States.TakeAtAsync<TValue>(list, atIndex);

        /// <summary>The element at an index.</summary>
        public static Task<TValue> GetAtAsync<TValue>(this PerperList list, int atIndex) =>
            States.GetAtAsync<TValue>(list, atIndex);

        /// <summary>Replaces the element at an index.</summary>
        public static Task SetAtAsync<TValue>(this PerperList list, int atIndex, TValue value) =>
            States.SetAtAsync(list, atIndex, value);

        /// <summary>The index of the first equal element; −1 if there is none.</summary>
        public static Task<int> IndexOfAsync<TValue>(this PerperList list, TValue value) =>
            States.IndexOfAsync(list, value);

        /// <summary>Whether there is an equal element.</summary>
        public static Task<bool> ContainsAsync<TValue>(this PerperList list, TValue value) =>
            States.ContainsAsync(list, value);

        /// <summary>Removes the first equal element. False if there was none.</summary>
        public static Task<bool> RemoveAsync<TValue>(this PerperList list, TValue value) =>
            States.RemoveAsync(list, value);

        /// <summary>Removes all elements.</summary>
        public static Task ClearAsync(this PerperList list) =>
            States.ClearAsync(list);

        /// <summary>Destroys a list and its elements.</summary>
        public static Task DestroyAsync(this PerperList list) =>
            States.DestroyAsync(list);
    }
}
