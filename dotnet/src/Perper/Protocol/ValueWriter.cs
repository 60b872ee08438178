using System;
using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>Writes values: CBOR with definite lengths and the shortest heads.</summary>
    public sealed class ValueWriter
    {
        /// <summary>How deep values may be nested; what is deeper is refused by every reader.</summary>
        public const int MaxDepth = 128;

        private byte[] buffer;
        private int length;
        private int depth;

        /// <summary>Creates a writer with an empty buffer.</summary>
        public ValueWriter() => buffer = new byte[256];

        /// <summary>What has been written.</summary>
        public ReadOnlySpan<byte> Written => buffer.AsSpan(0, length);

        internal int Length => length;

        internal ReadOnlyMemory<byte> WrittenMemory => buffer.AsMemory(0, length);

        /// <summary>Empties the buffer, to use it again.</summary>
        public void Clear()
        {
            length = 0;
            depth = 0;
            // One huge value should not hold its memory for ever.
            if (buffer.Length > 1 << 18)
            {
                buffer = new byte[256];
            }
        }

        /// <summary>A copy of what has been written.</summary>
        public byte[] ToArray() => Written.ToArray();

        internal Span<byte> Take(int count)
        {
            if (buffer.Length - length < count)
            {
                Array.Resize(ref buffer, checked(Math.Max(buffer.Length * 2, length + count)));
            }

            length += count;
            return buffer.AsSpan(length - count, count);
        }

        internal Span<byte> At(int position, int count) => buffer.AsSpan(position, count);

        internal void Truncate(int position) => length = position;

        /// <summary>Enters an array, map, set or the like; told at <see cref="Leave"/> that it is over.</summary>
        /// <exception cref="PerperValueException">The value is nested too deeply, as one that contains itself is.</exception>
        public void Enter()
        {
            if (++depth > MaxDepth)
            {
                throw new PerperValueException("depth", $"the value is nested deeper than {MaxDepth} levels; does it contain itself?");
            }
        }

        /// <summary>Leaves what <see cref="Enter"/> entered.</summary>
        public void Leave() => depth--;

        private void WriteHead(int major, ulong argument)
        {
            var kind = (byte)(major << 5);
            if (argument < 24)
            {
                Take(1)[0] = (byte)(kind | (byte)argument);
            }
            else if (argument <= byte.MaxValue)
            {
                var head = Take(2);
                head[0] = (byte)(kind | 24);
                head[1] = (byte)argument;
            }
            else if (argument <= ushort.MaxValue)
            {
                var head = Take(3);
                head[0] = (byte)(kind | 25);
                BinaryPrimitives.WriteUInt16BigEndian(head.Slice(1), (ushort)argument);
            }
            else if (argument <= uint.MaxValue)
            {
                var head = Take(5);
                head[0] = (byte)(kind | 26);
                BinaryPrimitives.WriteUInt32BigEndian(head.Slice(1), (uint)argument);
            }
            else
            {
                var head = Take(9);
                head[0] = (byte)(kind | 27);
                BinaryPrimitives.WriteUInt64BigEndian(head.Slice(1), argument);
            }
        }

        /// <summary>Writes null.</summary>
        public void WriteNull() => Take(1)[0] = 0xf6;

        /// <summary>Writes a boolean.</summary>
        public void WriteBoolean(bool value) => Take(1)[0] = value ? (byte)0xf5 : (byte)0xf4;

        /// <summary>Writes an integer.</summary>
        public void WriteInteger(long value)
        {
            if (value >= 0)
            {
                WriteHead(0, (ulong)value);
            }
            else
            {
                WriteHead(1, (ulong)~value);
            }
        }

        /// <summary>Writes an integer.</summary>
        public void WriteInteger(ulong value) => WriteHead(0, value);

        /// <summary>Writes an integer of any size.</summary>
        public void WriteInteger(BigInteger value)
        {
            var negative = value.Sign < 0;
            var magnitude = negative ? BigInteger.MinusOne - value : value;
            if (magnitude <= ulong.MaxValue)
            {
                WriteHead(negative ? 1 : 0, (ulong)magnitude);
                return;
            }

            WriteTag(negative ? 3UL : 2UL);
            WriteBytes(magnitude.ToByteArray(isUnsigned: true, isBigEndian: true));
        }

        /// <summary>Writes a float, always in 64 bits and with one NaN.</summary>
        public void WriteDouble(double value)
        {
            var head = Take(9);
            head[0] = 0xfb;
            if (double.IsNaN(value))
            {
                BinaryPrimitives.WriteUInt64BigEndian(head.Slice(1), 0x7ff8000000000000);
            }
            else
            {
                BinaryPrimitives.WriteDoubleBigEndian(head.Slice(1), value);
            }
        }

        /// <summary>Writes a text.</summary>
        /// <exception cref="PerperValueException">It holds half of a surrogate pair, so it is no text.</exception>
        public void WriteText(ReadOnlySpan<char> value)
        {
            int count;
            try
            {
                count = StrictUtf8.GetByteCount(value);
            }
            catch (EncoderFallbackException)
            {
                throw new PerperValueException("utf8", "the text holds half of a surrogate pair, which no other language can read");
            }

            WriteHead(3, (ulong)count);
            StrictUtf8.GetBytes(value, Take(count));
        }

        /// <summary>Writes a text that is encoded already.</summary>
        internal void WriteUtf8(ReadOnlySpan<byte> utf8)
        {
            WriteHead(3, (ulong)utf8.Length);
            utf8.CopyTo(Take(utf8.Length));
        }

        /// <summary>Writes bytes.</summary>
        public void WriteBytes(ReadOnlySpan<byte> value)
        {
            WriteHead(2, (ulong)value.Length);
            value.CopyTo(Take(value.Length));
        }

        /// <summary>Begins an array; that many values follow.</summary>
        public void WriteArrayHead(int count) => WriteHead(4, (ulong)count);

        /// <summary>Begins a map; that many keys and values follow, in turn.</summary>
        public void WriteMapHead(int count) => WriteHead(5, (ulong)count);

        /// <summary>Writes a tag; its content follows.</summary>
        public void WriteTag(ulong tag) => WriteHead(6, tag);

        /// <summary>Writes a date-time with its offset.</summary>
        public void WriteDateTime(DateTimeOffset value)
        {
            WriteTag(0);
            var text = value.ToString("yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture);
            var fraction = value.Ticks % TimeSpan.TicksPerSecond;
            if (fraction != 0)
            {
                text += "." + fraction.ToString("0000000", CultureInfo.InvariantCulture).TrimEnd('0');
            }

            WriteText(text + (value.Offset == TimeSpan.Zero ? "Z" : value.ToString("zzz", CultureInfo.InvariantCulture)));
        }

        /// <summary>Writes a decimal number.</summary>
        public void WriteDecimal(decimal value)
        {
            Span<int> bits = stackalloc int[4];
            decimal.GetBits(value, bits);
            var scale = (bits[3] >> 16) & 0xff;
            var coefficient = (new BigInteger((uint)bits[2]) << 64) | (new BigInteger((uint)bits[1]) << 32) | (uint)bits[0];
            WriteTag(4);
            WriteArrayHead(2);
            WriteInteger((long)-scale);
            WriteInteger(bits[3] < 0 ? -coefficient : coefficient);
        }

        /// <summary>Writes a UUID.</summary>
        public void WriteGuid(Guid value)
        {
            WriteTag(37);
            // .NET keeps the first three parts in the machine's order, the standard in the network's.
            Span<byte> bytes = stackalloc byte[16];
            value.TryWriteBytes(bytes);
            bytes.Slice(0, 4).Reverse();
            bytes.Slice(4, 2).Reverse();
            bytes.Slice(6, 2).Reverse();
            WriteBytes(bytes);
        }

        /// <summary>Writes values that are encoded already.</summary>
        public void WriteEncoded(ReadOnlySpan<byte> encoded) => encoded.CopyTo(Take(encoded.Length));

        private static readonly Encoding StrictUtf8 = new UTF8Encoding(false, throwOnInvalidBytes: true);
    }
}
