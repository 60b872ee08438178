using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>Reads records of the packed format of ports, in place.</summary>
    internal struct RecordReader
    {
        private ReadOnlyMemory<byte> rest;

        internal RecordReader(ReadOnlyMemory<byte> bytes) => rest = bytes;

        internal bool IsEmpty => rest.IsEmpty;

        internal ReadOnlyMemory<byte> Rest => rest;

        private ReadOnlyMemory<byte> Take(int count)
        {
            var taken = rest.Slice(0, count);
            rest = rest.Slice(count);
            return taken;
        }

        internal byte ReadU8() => Take(1).Span[0];

        internal bool ReadBool() => ReadU8() != 0;

        internal ushort ReadU16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2).Span);

        internal uint ReadU32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4).Span);

        internal int ReadCount() => checked((int)ReadU32());

        internal ulong ReadU64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8).Span);

        internal long ReadI64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8).Span);

        internal ReadOnlyMemory<byte> ReadBytes() => Take(ReadCount());

        /// <summary>A value that may be absent.</summary>
        internal ReadOnlyMemory<byte>? ReadOptional()
        {
            var length = ReadU32();
            // No value has no bytes: both stand for none.
            return length is uint.MaxValue or 0 ? (ReadOnlyMemory<byte>?)null : Take((int)length);
        }

        internal string ReadText() => Encoding.UTF8.GetString(ReadBytes().Span);

        internal ReadOnlyMemory<byte>[] ReadValues()
        {
            var values = new ReadOnlyMemory<byte>[ReadCount()];
            for (var index = 0; index < values.Length; index++)
            {
                values[index] = ReadBytes();
            }

            return values;
        }

        internal Dictionary<string, string> ReadTexts()
        {
            var count = ReadCount();
            var texts = new Dictionary<string, string>(count);
            for (var index = 0; index < count; index++)
            {
                var name = ReadText();
                texts[name] = ReadText();
            }

            return texts;
        }

        internal void SkipTexts()
        {
            for (var count = 2 * ReadCount(); count > 0; count--)
            {
                ReadBytes();
            }
        }

        internal PerperException ReadError()
        {
            var (code, reason, message) = (ReadU16(), ReadText(), ReadText());
            (string, string, string)? failure = ReadBool() ? (ReadText(), ReadText(), ReadText()) : null;
            return PerperException.Create(code, reason, message, ReadTexts(), failure);
        }

        /// <summary>Skips the head of an answer, which must be of that kind.</summary>
        internal RecordReader Expect(byte kind)
        {
            var found = ReadU8();
            return found == kind ? this : throw new InvalidOperationException($"The native library answered with {found} where {kind} was expected; use files of the same package.");
        }
    }
}
