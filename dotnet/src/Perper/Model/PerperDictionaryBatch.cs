using System;
using System.Buffers.Binary;

using Perper.Protocol;

namespace Perper.Model
{
    /// <summary>Several operations on a dictionary, which are carried out whole or not at all.</summary>
    public sealed class PerperDictionaryBatch
    {
        private readonly ValueWriter operations = new();

        /// <summary>How many operations there are.</summary>
        public int Count { get; private set; }

        internal ReadOnlySpan<byte> Encoded => operations.Written;

        /// <summary>Writes an entry.</summary>
        public PerperDictionaryBatch Set<TKey, TValue>(TKey key, TValue value) => Add(2, key, true, value, false, 0);

        /// <summary>Writes an entry; if the key is present, nothing of the batch is done.</summary>
        public PerperDictionaryBatch SetIfNotExisting<TKey, TValue>(TKey key, TValue value) => Add(3, key, true, value, false, 0);

        /// <summary>Writes an entry; if its present value is not the old one, nothing of the batch is done.</summary>
        public PerperDictionaryBatch SetIfNotChanged<TKey, TValue>(TKey key, TValue oldValue, TValue value) => Add(4, key, true, value, true, oldValue);

        /// <summary>Removes an entry, if it is there.</summary>
        public PerperDictionaryBatch Remove<TKey>(TKey key) => Add(7, key, false, 0, false, 0);

        /// <summary>Removes an entry; if its present value is not the old one, nothing of the batch is done.</summary>
        public PerperDictionaryBatch RemoveIfNotChanged<TKey, TValue>(TKey key, TValue oldValue) => Add(8, key, false, 0, true, oldValue);

        private PerperDictionaryBatch Add<TKey, TValue, TExpected>(byte operation, TKey key, bool hasValue, TValue value, bool hasExpected, TExpected expected)
        {
            var start = operations.Length;
            try
            {
                operations.Take(1)[0] = operation;
                Write(true, key);
                Write(hasValue, value);
                Write(hasExpected, expected);
            }
            catch (PerperValueException)
            {
                // What could be half of an operation is none.
                operations.Truncate(start);
                throw;
            }

            Count++;
            return this;
        }

        private void Write<T>(bool isUsed, T value)
        {
            var start = operations.Length;
            operations.Take(4).Clear();
            if (isUsed)
            {
                Converters.Write(operations, value);
                BinaryPrimitives.WriteUInt32LittleEndian(operations.At(start, 4), (uint)(operations.Length - start - 4));
            }
        }
    }
}
