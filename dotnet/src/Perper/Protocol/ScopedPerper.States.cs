using System;
using System.Collections.Generic;
using System.Threading.Tasks;

using Perper.Model;

namespace Perper.Protocol
{
    internal sealed partial class ScopedPerper
    {
        /// <summary>Operations on one entry, by the core's numbers.</summary>
        private enum Entry : byte
        {
            Get = 1,
            Set = 2,
            SetIfAbsent = 3,
            ReplaceIfEqual = 4,
            GetAndReplace = 5,
            GetAndRemove = 6,
            Remove = 7,
            RemoveIfEqual = 8,
            Contains = 9,
            Count = 10,
            Clear = 11,
        }

        /// <summary>Operations on a list, by the core's numbers.</summary>
        private enum Element : byte
        {
            Add = 1,
            Pop = 2,
            Dequeue = 3,
            InsertAt = 4,
            RemoveAt = 5,
            GetAt = 6,
            SetAt = 7,
            IndexOf = 8,
            Contains = 9,
            Count = 10,
            Clear = 11,
            Remove = 12,
        }

        /// <summary>What an operation does not use.</summary>
        private static readonly object Unused = new();

        private string StateId(PerperStateOptions? options) => options?.Name is { } name ? $"{Scope.Agent.Instance}/{name}" : fabric.NewId();

        public (PerperDictionary Dictionary, Func<Task> Create) CreateDictionary(PerperStateOptions? options)
        {
            var dictionary = new PerperDictionary(StateId(options));
            return (dictionary, () => CreateState(Operation.CreateDictionary, dictionary.Name, options));
        }

        public (PerperList List, Func<Task> Create) CreateList(PerperStateOptions? options)
        {
            var list = new PerperList(StateId(options));
            return (list, () => CreateState(Operation.CreateList, list.Name, options));
        }

        private Task CreateState(Operation operation, string id, PerperStateOptions? options) =>
            Scope.Port.RequestAsync(operation, (operation, Scope.Invocation, id, Owner: options?.Detached == true ? "" : Scope.Owner), WriteState);

        private static void WriteState(RecordWriter record, (Operation Operation, ulong Invocation, string Id, string Owner) it)
        {
            record.WriteU64(it.Invocation);
            record.WriteText(it.Id);
            record.WriteText(it.Owner);
            if (it.Operation == Operation.CreateDictionary)
            {
                record.WriteCount(0);
            }
        }

        /// <summary>It is created when it is first used; before anything that is asked of it, since requests keep their order.</summary>
        public PerperDictionary GetInstanceDictionary(PerperAgent instance)
        {
            if (instance.Instance.Length == 0)
            {
                throw PerperException.InvalidArgument("this context belongs to no instance, so it has no state; create a dictionary, or do this in a handler");
            }

            var incarnation = instance.Equals(Scope.Agent) ? Scope.Activation?.Incarnation ?? 0 : 0;
            if (fabric.NeedsState(instance.Instance, incarnation))
            {
                var created = Scope.Port.RequestAsync(Operation.CreateDictionary, (Operation.CreateDictionary, Scope.Invocation, instance.Instance, instance.Instance), WriteState);
                _ = created.ContinueWith(failed =>
                {
                    _ = failed.Exception;
                    fabric.ForgetState(instance.Instance, incarnation);
                }, default, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            }

            return new PerperDictionary(instance.Instance);
        }

        /// <summary>One operation on a dictionary: whether it applied, how many entries there are, and a value.</summary>
        private async Task<(bool Applied, ulong Count, ReadOnlyMemory<byte>? Value)> Update<TKey, TValue>(PerperDictionary dictionary, Entry operation, TKey key, TValue value, TValue? expected = default, bool hasExpected = false)
        {
            var answer = await Scope.Port.RequestAsync(Operation.UpdateDictionary, (dictionary, operation, key, value, expected, hasExpected), static (record, it) =>
            {
                record.WriteText(it.dictionary.Name);
                record.WriteCount(1);
                record.WriteU8((byte)it.operation);
                WriteUsed(record, it.key);
                WriteUsed(record, it.value);
                if (it.hasExpected)
                {
                    record.WriteValue(it.expected);
                }
                else
                {
                    record.WriteCount(0);
                }
            }).ConfigureAwait(false);
            var reader = new RecordReader(answer).Expect(7);
            var failed = reader.ReadI64();
            // Where its condition did not hold, nothing else that is told counts.
            if (reader.ReadCount() == 0 || failed >= 0)
            {
                return (false, 0, null);
            }

            return (reader.ReadBool(), reader.ReadU64(), reader.ReadOptional());
        }

        private static void WriteUsed<T>(RecordWriter record, T value)
        {
            if (ReferenceEquals(value, Unused))
            {
                record.WriteCount(0);
            }
            else
            {
                record.WriteValue(value);
            }
        }

        private static (bool, TValue) Found<TValue>((bool Applied, ulong, ReadOnlyMemory<byte>? Value) result) =>
            result.Value is { } value ? (true, PerperValues.DeserializeTrusted<TValue>(value.Span)) : (false, default!);

        public Task SetAsync<TKey, TValue>(PerperDictionary dictionary, TKey key, TValue value) => Update(dictionary, Entry.Set, key, value);

        public async Task<bool> SetIfNotChangedAsync<TKey, TValue>(PerperDictionary dictionary, TKey key, TValue oldValue, TValue value) =>
            (await Update(dictionary, Entry.ReplaceIfEqual, key, value, oldValue, hasExpected: true).ConfigureAwait(false)).Applied;

        public async Task<bool> SetIfNotExistingAsync<TKey, TValue>(PerperDictionary dictionary, TKey key, TValue value) =>
            (await Update(dictionary, Entry.SetIfAbsent, key, value).ConfigureAwait(false)).Applied;

        public async Task<(bool Exists, TValue Value)> TryGetAsync<TKey, TValue>(PerperDictionary dictionary, TKey key) =>
            Found<TValue>(await Update(dictionary, Entry.Get, key, Unused).ConfigureAwait(false));

        public async Task<(bool Exists, TValue Value)> TryGetAndReplaceAsync<TKey, TValue>(PerperDictionary dictionary, TKey key, TValue newValue) =>
            Found<TValue>(await Update(dictionary, Entry.GetAndReplace, key, newValue).ConfigureAwait(false));

        public async Task<(bool Exists, TValue Value)> TryGetAndRemoveAsync<TKey, TValue>(PerperDictionary dictionary, TKey key) =>
            Found<TValue>(await Update(dictionary, Entry.GetAndRemove, key, Unused).ConfigureAwait(false));

        public async Task<bool> RemoveAsync<TKey>(PerperDictionary dictionary, TKey key) =>
            (await Update(dictionary, Entry.Remove, key, Unused).ConfigureAwait(false)).Applied;

        public async Task<bool> RemoveIfNotChangedAsync<TKey, TValue>(PerperDictionary dictionary, TKey key, TValue oldValue) =>
            (await Update<TKey, object?>(dictionary, Entry.RemoveIfEqual, key, Unused, oldValue, hasExpected: true).ConfigureAwait(false)).Applied;

        public async Task<bool> ContainsKeyAsync<TKey>(PerperDictionary dictionary, TKey key) =>
            (await Update(dictionary, Entry.Contains, key, Unused).ConfigureAwait(false)).Applied;

        public async Task<int> CountAsync(PerperDictionary dictionary) =>
            checked((int)(await Update(dictionary, Entry.Count, Unused, Unused).ConfigureAwait(false)).Count);

        public Task ClearAsync(PerperDictionary dictionary) => Update(dictionary, Entry.Clear, Unused, Unused);

        public async Task<bool> ApplyAsync(PerperDictionary dictionary, PerperDictionaryBatch batch)
        {
            var answer = await Scope.Port.RequestAsync(Operation.UpdateDictionary, (dictionary, batch), static (record, it) =>
            {
                record.WriteText(it.dictionary.Name);
                record.WriteCount(it.batch.Count);
                record.WriteRaw(it.batch.Encoded);
            }).ConfigureAwait(false);
            return new RecordReader(answer).Expect(7).ReadI64() < 0;
        }

        public Task DestroyAsync(PerperDictionary dictionary) => Ask(Operation.DestroyDictionary, dictionary.Name);

        public IAsyncEnumerable<(TKey Key, TValue Value)> EnumerateItemsAsync<TKey, TValue>(PerperDictionary dictionary) => EnumerateEntries<TKey, TValue>(Scope, dictionary);

        private static async IAsyncEnumerable<(TKey Key, TValue Value)> EnumerateEntries<TKey, TValue>(Scope scope, PerperDictionary dictionary)
        {
            var token = ReadOnlyMemory<byte>.Empty;
            do
            {
                var answer = await scope.Port.RequestAsync(Operation.EnumerateDictionary, (dictionary, token), static (record, it) =>
                {
                    record.WriteText(it.dictionary.Name);
                    record.WriteBool(false);
                    record.WriteU32(0);
                    record.WriteBytes(it.token.Span);
                }).ConfigureAwait(false);
                var page = new RecordReader(answer).Expect(8);
                for (var left = page.ReadCount(); left > 0; left--)
                {
                    var key = PerperValues.DeserializeTrusted<TKey>(page.ReadBytes().Span);
                    yield return (key, PerperValues.DeserializeTrusted<TValue>(page.ReadBytes().Span));
                }

                token = page.ReadBytes();
            }
            while (!token.IsEmpty);
        }

        private async Task<(ReadOnlyMemory<byte>? Value, long Index, ulong Count, bool Found)> Update<TValue>(PerperList list, Element operation, int index, TValue value)
        {
            if (index < 0)
            {
                throw new PerperException(90, "INDEX_OUT_OF_RANGE", $"index {index} is negative; the first element is 0");
            }

            var answer = await Scope.Port.RequestAsync(Operation.UpdateList, (list, operation, index, value), static (record, it) =>
            {
                record.WriteText(it.list.Name);
                record.WriteU8((byte)it.operation);
                record.WriteU64((ulong)it.index);
                WriteUsed(record, it.value);
            }).ConfigureAwait(false);
            var reader = new RecordReader(answer).Expect(9);
            return (reader.ReadOptional(), reader.ReadI64(), reader.ReadU64(), reader.ReadBool());
        }

        private async Task<TValue> TakeElement<TValue>(PerperList list, Element operation, int index, string what)
        {
            var (value, _, _, _) = await Update(list, operation, index, Unused).ConfigureAwait(false);
            return value is { } found
                ? PerperValues.DeserializeTrusted<TValue>(found.Span)
                : throw new PerperException(90, "INDEX_OUT_OF_RANGE", $"list {list.Name} {what}");
        }

        public async Task<int> CountAsync(PerperList list) => checked((int)(await Update(list, Element.Count, 0, Unused).ConfigureAwait(false)).Count);

        public async Task<int> AddAsync<TValue>(PerperList list, TValue value) => checked((int)(await Update(list, Element.Add, 0, value).ConfigureAwait(false)).Index);

        public Task<TValue> PopAsync<TValue>(PerperList list) => TakeElement<TValue>(list, Element.Pop, 0, "is empty");

        public Task<TValue> DequeueAsync<TValue>(PerperList list) => TakeElement<TValue>(list, Element.Dequeue, 0, "is empty");

        public Task InsertAtAsync<TValue>(PerperList list, int atIndex, TValue value) => Update(list, Element.InsertAt, atIndex, value);

        public Task RemoveAtAsync(PerperList list, int atIndex) => Update(list, Element.RemoveAt, atIndex, Unused);

        public Task<TValue> TakeAtAsync<TValue>(PerperList list, int atIndex) => TakeElement<TValue>(list, Element.RemoveAt, atIndex, $"has no element {atIndex}");

        public Task<TValue> GetAtAsync<TValue>(PerperList list, int atIndex) => TakeElement<TValue>(list, Element.GetAt, atIndex, $"has no element {atIndex}");

        public Task SetAtAsync<TValue>(PerperList list, int atIndex, TValue value) => Update(list, Element.SetAt, atIndex, value);

        public async Task<int> IndexOfAsync<TValue>(PerperList list, TValue value) => checked((int)(await Update(list, Element.IndexOf, 0, value).ConfigureAwait(false)).Index);

        public async Task<bool> ContainsAsync<TValue>(PerperList list, TValue value) => (await Update(list, Element.Contains, 0, value).ConfigureAwait(false)).Found;

        public async Task<bool> RemoveAsync<TValue>(PerperList list, TValue value) => (await Update(list, Element.Remove, 0, value).ConfigureAwait(false)).Found;

        public Task ClearAsync(PerperList list) => Update(list, Element.Clear, 0, Unused);

        public Task DestroyAsync(PerperList list) => Ask(Operation.DestroyList, list.Name);

        public IAsyncEnumerable<TValue> EnumerateAsync<TValue>(PerperList list) => EnumerateElements<TValue>(Scope, list);

        private static async IAsyncEnumerable<TValue> EnumerateElements<TValue>(Scope scope, PerperList list)
        {
            var token = ReadOnlyMemory<byte>.Empty;
            do
            {
                var answer = await scope.Port.RequestAsync(Operation.EnumerateList, (list, token), static (record, it) =>
                {
                    record.WriteText(it.list.Name);
                    record.WriteU32(0);
                    record.WriteBytes(it.token.Span);
                }).ConfigureAwait(false);
                var page = new RecordReader(answer).Expect(10);
                for (var left = page.ReadCount(); left > 0; left--)
                {
                    yield return PerperValues.DeserializeTrusted<TValue>(page.ReadBytes().Span);
                }

                token = page.ReadBytes();
            }
            while (!token.IsEmpty);
        }
    }
}
