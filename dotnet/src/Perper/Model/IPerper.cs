using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Threading;
using System.Threading.Tasks;

namespace Perper.Model
{
    /// <summary>Starts what has been created but not begun.</summary>
    public delegate Task DelayedCreateFunc(params object?[] parameters);

    /// <summary>Starts what has been created but not begun, and gives what comes of it.</summary>
    public delegate Task<TResult> DelayedCreateFunc<TResult>(params object?[] parameters);

    /// <summary>Everything that can be asked of a Fabric.</summary>
    public interface IPerper
    {
        /// <summary>Calls.</summary>
        IPerperExecutions Executions { get; }

        /// <summary>Instances of agents.</summary>
        IPerperAgents Agents { get; }

        /// <summary>Streams.</summary>
        IPerperStreams Streams { get; }

        /// <summary>Dictionaries and lists.</summary>
        IPerperStates States { get; }
    }

    /// <summary>The same on behalf of an execution: it becomes the parent of calls, and its instance the owner of what is made.</summary>
    public interface IPerperContext : IPerper
    {
        /// <summary>The execution that runs.</summary>
        PerperExecution CurrentExecution { get; }

        /// <summary>The instance that runs it.</summary>
        PerperAgent CurrentAgent { get; }

        /// <summary>The dictionary of the instance.</summary>
        PerperDictionary CurrentState { get; }
    }

    /// <summary>Calls, made and answered.</summary>
    public interface IPerperExecutions
    {
        /// <summary>Prepares a call of an instance: its reference at once, the call itself when it is started.</summary>
        /// <param name="agent">The instance.</param>
        /// <param name="delegate">What to call.</param>
        /// <param name="parameters">Parameters that the arguments are meant for; not needed.</param>
        (PerperExecution Execution, DelayedCreateFunc Start) Create(PerperAgent agent, string @delegate, ParameterInfo[]? parameters = null);

        /// <summary>Waits until an execution is over.</summary>
        Task GetResultAsync(PerperExecution execution, CancellationToken cancellationToken = default);

        /// <summary>Waits for the result of an execution.</summary>
        Task<TResult> GetResultAsync<TResult>(PerperExecution execution, CancellationToken cancellationToken = default);

        /// <summary>Calls, and waits for the result. Cancelling the token cancels the call.</summary>
        Task<TResult> CallAsync<TResult>(PerperAgent agent, string @delegate, object?[] arguments, CancellationToken cancellationToken);

        /// <summary>Cancels an execution, and forgets it.</summary>
        Task DestroyAsync(PerperExecution execution);

        /// <summary>The arguments of an execution that this process holds, for the parameters of a handler.</summary>
        Task<object?[]> GetArgumentsAsync(PerperExecution execution, ParameterInfo[]? parameters = null);

        /// <summary>Completes an execution without a result.</summary>
        Task WriteResultAsync(PerperExecution execution);

        /// <summary>Completes an execution. A <see cref="ValueTuple"/> is several results.</summary>
        Task WriteResultAsync<TResult>(PerperExecution execution, TResult result);

        /// <summary>Fails an execution.</summary>
        Task WriteExceptionAsync(PerperExecution execution, Exception exception);

        /// <summary>Takes calls, one for each that is asked for.</summary>
        IAsyncEnumerable<PerperExecutionData> ListenAsync(PerperExecutionFilter filter, CancellationToken cancellationToken = default);
    }

    /// <summary>Instances of agents.</summary>
    public interface IPerperAgents
    {
        /// <summary>Prepares an instance: its reference at once, the instance itself when it is started, with the arguments of its <c>Start</c>.</summary>
        /// <param name="parent">The instance with which it goes; null: the current one.</param>
        /// <param name="agent">The agent.</param>
        (PerperAgent Instance, DelayedCreateFunc Start) Create(PerperAgent? parent, string agent);

        /// <summary>As <see cref="Create(PerperAgent?, string)"/>, giving what <c>Start</c> returns.</summary>
        (PerperAgent Instance, DelayedCreateFunc<TResult> Start) Create<TResult>(PerperAgent? parent, string agent);

        /// <summary>Stops an instance: calls its <c>Stop</c>, then destroys what it owns.</summary>
        /// <returns>False when there was no such instance.</returns>
        Task<bool> DestroyAsync(PerperAgent agent);
    }

    /// <summary>Streams.</summary>
    public interface IPerperStreams
    {
        /// <summary>Prepares a blank stream, which anybody may write.</summary>
        (PerperStream Stream, Func<Task> Create) Create(PerperStreamOptions options);

        /// <summary>Prepares a stream that an execution will fill.</summary>
        (PerperStream Stream, Func<Task> Create) Create(PerperStreamOptions options, PerperExecution execution);

        /// <summary>Waits until somebody listens.</summary>
        Task WaitForListenerAsync(PerperStream stream, CancellationToken cancellationToken = default);

        /// <summary>Writes an item at a key, and waits until it is in the stream.</summary>
        Task WriteItemAsync<TItem>(PerperStream stream, long key, TItem item);

        /// <summary>Writes an item with an automatic key, and waits until it is in the stream.</summary>
        Task WriteItemAsync<TItem>(PerperStream stream, TItem item);

        /// <summary>Writes an item to a blank stream, waits until it is there, and gives the key that it got.</summary>
        Task<long> AppendItemAsync<TItem>(PerperStream stream, TItem item);

        /// <summary>Writes items as fast as they come, in batches, and waits until they are in the stream.</summary>
        Task WriteItemsAsync<TItem>(PerperStream stream, IAsyncEnumerable<TItem> items, CancellationToken cancellationToken = default);

        /// <summary>As <see cref="WriteItemsAsync"/>, with keys.</summary>
        Task WriteKeyedItemsAsync<TItem>(PerperStream stream, IAsyncEnumerable<(long Key, TItem Item)> items, CancellationToken cancellationToken = default);

        /// <summary>Ends a stream: well, or with an error that its listeners get after the items.</summary>
        Task CompleteAsync(PerperStream stream, Exception? exception = null);

        /// <summary>The items with their keys, in order, from where the reference says. Asking for the next one says that the last is processed.</summary>
        /// <param name="stream">The stream.</param>
        /// <param name="listenerName">A name makes the listener durable: the next one of that name goes on where it was.</param>
        /// <param name="cancellationToken">Ends the enumeration.</param>
        IAsyncEnumerable<(long Key, TItem Value)> EnumerateItemsAsync<TItem>(PerperStream stream, string? listenerName = null, CancellationToken cancellationToken = default);

        /// <summary>As <see cref="EnumerateItemsAsync"/>, without the keys.</summary>
        IAsyncEnumerable<TItem> EnumerateAsync<TItem>(PerperStream stream, string? listenerName = null, CancellationToken cancellationToken = default);

        /// <summary>Removes a named listener, and what was kept for it.</summary>
        Task RemoveListenerAsync(PerperStream stream, string listenerName);

        /// <summary>The items that are in the stream now, to query. They are read when the query is enumerated, which blocks.</summary>
        IQueryable<TItem> Query<TItem>(PerperStream stream);

        /// <summary>Queries a stream in SQL, where the Fabric offers that.</summary>
        IAsyncEnumerable<TItem> QuerySqlAsync<TItem>(PerperStream stream, string sqlCondition, params object[] sqlParameters);

        /// <summary>Destroys a stream and its items.</summary>
        Task DestroyAsync(PerperStream stream);
    }

    /// <summary>Dictionaries and lists. Every operation is atomic.</summary>
    public interface IPerperStates
    {
        /// <summary>Prepares a dictionary.</summary>
        (PerperDictionary Dictionary, Func<Task> Create) CreateDictionary(PerperStateOptions? options = null);

        /// <summary>The dictionary of an instance.</summary>
        PerperDictionary GetInstanceDictionary(PerperAgent instance);

        /// <summary>Writes an entry.</summary>
        Task SetAsync<TKey, TValue>(PerperDictionary dictionary, TKey key, TValue value);

        /// <summary>Writes an entry if its present value equals the old one: compare and set. False if it does not.</summary>
        Task<bool> SetIfNotChangedAsync<TKey, TValue>(PerperDictionary dictionary, TKey key, TValue oldValue, TValue value);

        /// <summary>Writes an entry if the key is absent. False if it was present.</summary>
        Task<bool> SetIfNotExistingAsync<TKey, TValue>(PerperDictionary dictionary, TKey key, TValue value);

        /// <summary>The value of a key, if it is present.</summary>
        Task<(bool Exists, TValue Value)> TryGetAsync<TKey, TValue>(PerperDictionary dictionary, TKey key);

        /// <summary>Writes an entry if the key is present, and gives the former value.</summary>
        Task<(bool Exists, TValue Value)> TryGetAndReplaceAsync<TKey, TValue>(PerperDictionary dictionary, TKey key, TValue newValue);

        /// <summary>Removes an entry, and gives its value if it was present.</summary>
        Task<(bool Exists, TValue Value)> TryGetAndRemoveAsync<TKey, TValue>(PerperDictionary dictionary, TKey key);

        /// <summary>Removes an entry. False if the key was absent.</summary>
        Task<bool> RemoveAsync<TKey>(PerperDictionary dictionary, TKey key);

        /// <summary>Removes an entry if its present value equals the old one. False if it does not.</summary>
        Task<bool> RemoveIfNotChangedAsync<TKey, TValue>(PerperDictionary dictionary, TKey key, TValue oldValue);

        /// <summary>Whether a key is present.</summary>
        Task<bool> ContainsKeyAsync<TKey>(PerperDictionary dictionary, TKey key);

        /// <summary>Carries out several operations (at most 1,000), whole or not at all. False when the condition of one did not hold.</summary>
        Task<bool> ApplyAsync(PerperDictionary dictionary, PerperDictionaryBatch batch);

        /// <summary>Every entry. A key that is present throughout comes exactly once.</summary>
        IAsyncEnumerable<(TKey Key, TValue Value)> EnumerateItemsAsync<TKey, TValue>(PerperDictionary dictionary);

        /// <summary>The number of entries.</summary>
        Task<int> CountAsync(PerperDictionary dictionary);

        /// <summary>Removes all entries.</summary>
        Task ClearAsync(PerperDictionary dictionary);

        /// <summary>Destroys a dictionary and its entries.</summary>
        Task DestroyAsync(PerperDictionary dictionary);

        /// <summary>Prepares a list.</summary>
        (PerperList List, Func<Task> Create) CreateList(PerperStateOptions? options = null);

        /// <summary>Every element.</summary>
        IAsyncEnumerable<TValue> EnumerateAsync<TValue>(PerperList list);

        /// <summary>The number of elements.</summary>
        Task<int> CountAsync(PerperList list);

        /// <summary>Adds an element at the end, and gives its index.</summary>
        Task<int> AddAsync<TValue>(PerperList list, TValue value);

        /// <summary>Takes the last element.</summary>
        /// <exception cref="PerperException">The list is empty.</exception>
        Task<TValue> PopAsync<TValue>(PerperList list);

        /// <summary>Takes the first element.</summary>
        /// <exception cref="PerperException">The list is empty.</exception>
        Task<TValue> DequeueAsync<TValue>(PerperList list);

        /// <summary>Inserts an element before an index.</summary>
        Task InsertAtAsync<TValue>(PerperList list, int atIndex, TValue value);

        /// <summary>Removes the element at an index.</summary>
        Task RemoveAtAsync(PerperList list, int atIndex);

        /// <summary>Removes the element at an index, and gives it.</summary>
        Task<TValue> TakeAtAsync<TValue>(PerperList list, int atIndex);

        /// <summary>The element at an index.</summary>
        Task<TValue> GetAtAsync<TValue>(PerperList list, int atIndex);

        /// <summary>Replaces the element at an index.</summary>
        Task SetAtAsync<TValue>(PerperList list, int atIndex, TValue value);

        /// <summary>The index of the first equal element; −1 if there is none.</summary>
        Task<int> IndexOfAsync<TValue>(PerperList list, TValue value);

        /// <summary>Whether there is an equal element.</summary>
        Task<bool> ContainsAsync<TValue>(PerperList list, TValue value);

        /// <summary>Removes the first equal element. False if there was none.</summary>
        Task<bool> RemoveAsync<TValue>(PerperList list, TValue value);

        /// <summary>Removes all elements.</summary>
        Task ClearAsync(PerperList list);

        /// <summary>Destroys a list and its elements.</summary>
        Task DestroyAsync(PerperList list);
    }
}
