using System;
using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>What kind of value comes next in a <see cref="ValueReader"/>.</summary>
    public enum ValueKind
    {
        /// <summary>Null.</summary>
        Null,

        /// <summary>A boolean.</summary>
        Boolean,

        /// <summary>An integer of any size.</summary>
        Integer,

        /// <summary>A float.</summary>
        Float,

        /// <summary>A text.</summary>
        Text,

        /// <summary>Bytes.</summary>
        Bytes,

        /// <summary>An array.</summary>
        Array,

        /// <summary>A map.</summary>
        Map,

        /// <summary>A date-time.</summary>
        DateTime,

        /// <summary>A decimal number.</summary>
        Decimal,

        /// <summary>A UUID.</summary>
        Guid,

        /// <summary>A set.</summary>
        Set,

        /// <summary>A reference to an agent, a stream and the like.</summary>
        Reference,

        /// <summary>A value under a tag that has no meaning here.</summary>
        Tagged,
    }

    /// <summary>
    /// Reads values out of bytes. It trusts that they are well-formed, as everything is that comes from a Fabric; other
    /// bytes are checked by <see cref="PerperValues.Deserialize{T}(ReadOnlySpan{byte})"/> before.
    /// </summary>
    public ref struct ValueReader
    {
        private readonly ReadOnlySpan<byte> bytes;
        private int position;

        /// <summary>Creates a reader of the bytes.</summary>
        public ValueReader(ReadOnlySpan<byte> bytes)
        {
            this.bytes = bytes;
            position = 0;
        }

        /// <summary>How many bytes have been read.</summary>
        public int Position => position;

        /// <summary>Whether everything has been read.</summary>
        public bool IsAtEnd => position == bytes.Length;

        /// <summary>A reader of the same bytes from another place on.</summary>
        internal ValueReader From(int start) => new(bytes) { position = start };

        private ReadOnlySpan<byte> Take(ulong count)
        {
            if (count > (ulong)(bytes.Length - position))
            {
                throw new PerperValueException("truncated", "the bytes end before the value does");
            }

            var taken = bytes.Slice(position, (int)count);
            position += (int)count;
            return taken;
        }

        private byte PeekByte() => position < bytes.Length ? bytes[position] : throw new PerperValueException("truncated", "the bytes end before the value does");

        private (int Major, ulong Argument) ReadHead()
        {
            var first = Take(1)[0];
            var information = first & 31;
            ulong argument = information switch
            {
                < 24 => (ulong)information,
                24 => Take(1)[0],
                25 => BinaryPrimitives.ReadUInt16BigEndian(Take(2)),
                26 => BinaryPrimitives.ReadUInt32BigEndian(Take(4)),
                27 => BinaryPrimitives.ReadUInt64BigEndian(Take(8)),
                _ => throw new PerperValueException("malformed", "a head that CBOR reserves"),
            };
            return (first >> 5, argument);
        }

        private ulong Expect(int major, string expected)
        {
            if (PeekByte() >> 5 != major)
            {
                throw Unexpected(expected);
            }

            return ReadHead().Argument;
        }

        /// <summary>The error for a value of another kind than the one that is needed.</summary>
        /// <param name="expected">What is needed, such as <c>a text</c>.</param>
        public PerperValueException Unexpected(string expected)
        {
            string found = Peek() switch
            {
                ValueKind.Null => "null",
                ValueKind.Boolean => "a boolean",
                ValueKind.Integer => "an integer",
                ValueKind.Float => "a float",
                ValueKind.Text => "a text",
                ValueKind.Bytes => "bytes",
                ValueKind.Array => "an array",
                ValueKind.Map => "a map",
                ValueKind.DateTime => "a date-time",
                ValueKind.Decimal => "a decimal",
                ValueKind.Guid => "a UUID",
                ValueKind.Set => "a set",
                ValueKind.Reference => "a reference",
                _ => "a tagged value",
            };
            return new PerperValueException("type", $"expected {expected}, found {found}");
        }

        private ulong PeekTag()
        {
            var ahead = this;
            return ahead.ReadHead().Argument;
        }

        /// <summary>What comes next.</summary>
        public ValueKind Peek()
        {
            var first = PeekByte();
            return (first >> 5) switch
            {
                0 or 1 => ValueKind.Integer,
                2 => ValueKind.Bytes,
                3 => ValueKind.Text,
                4 => ValueKind.Array,
                5 => ValueKind.Map,
                6 => PeekTag() switch
                {
                    0 => ValueKind.DateTime,
                    2 or 3 => ValueKind.Integer,
                    4 => ValueKind.Decimal,
                    27 => ValueKind.Reference,
                    37 => ValueKind.Guid,
                    258 => ValueKind.Set,
                    _ => ValueKind.Tagged,
                },
                _ => first switch
                {
                    0xf4 or 0xf5 => ValueKind.Boolean,
                    0xf6 => ValueKind.Null,
                    0xf9 or 0xfa or 0xfb => ValueKind.Float,
                    _ => throw new PerperValueException("simple", $"the simple value 0x{first:x2} has no meaning here"),
                },
            };
        }

        /// <summary>Reads a null if there is one.</summary>
        public bool TryReadNull()
        {
            if (PeekByte() != 0xf6)
            {
                return false;
            }

            position++;
            return true;
        }

        /// <summary>Reads a boolean.</summary>
        public bool ReadBoolean()
        {
            var first = PeekByte();
            if (first is not (0xf4 or 0xf5))
            {
                throw Unexpected("a boolean");
            }

            position++;
            return first == 0xf5;
        }

        /// <summary>Reads an integer that fits; a float with an integral value is one.</summary>
        public long ReadInt64()
        {
            var major = PeekByte() >> 5;
            if (major <= 1)
            {
                var argument = ReadHead().Argument;
                if (argument <= long.MaxValue)
                {
                    return major == 0 ? (long)argument : ~(long)argument;
                }

                throw OutOfRange(major == 0 ? argument : BigInteger.MinusOne - argument, "64 bits, signed");
            }

            var value = ReadInteger();
            return value >= long.MinValue && value <= long.MaxValue ? (long)value : throw OutOfRange(value, "64 bits, signed");
        }

        internal static PerperValueException OutOfRange(BigInteger value, string place) =>
            new PerperValueException("range", $"{value} does not fit into {place}");

        /// <summary>Reads an integer of any size; a float with an integral value is one.</summary>
        public BigInteger ReadInteger()
        {
            switch (Peek())
            {
                case ValueKind.Integer when PeekByte() >> 5 <= 1:
                    var (major, argument) = ReadHead();
                    return major == 0 ? argument : BigInteger.MinusOne - argument;
                case ValueKind.Integer:
                    var tag = ReadHead().Argument;
                    var magnitude = new BigInteger(ReadBytes(), isUnsigned: true, isBigEndian: true);
                    return tag == 2 ? magnitude : BigInteger.MinusOne - magnitude;
                case ValueKind.Float:
                    var value = ReadFloat();
                    return Math.Floor(value) == value && !double.IsInfinity(value)
                        ? new BigInteger(value)
                        : throw new PerperValueException("type", FormattableString.Invariant($"expected an integer, found {value}"));
                default:
                    throw Unexpected("an integer");
            }
        }

        private double ReadFloat() => Take(1)[0] switch
        {
            0xf9 => (double)BinaryPrimitives.ReadHalfBigEndian(Take(2)),
            0xfa => BinaryPrimitives.ReadSingleBigEndian(Take(4)),
            _ => BinaryPrimitives.ReadDoubleBigEndian(Take(8)),
        };

        /// <summary>Reads a float; an integer is read as the nearest one.</summary>
        public double ReadDouble() => Peek() switch
        {
            ValueKind.Float => ReadFloat(),
            ValueKind.Integer => (double)ReadInteger(),
            _ => throw Unexpected("a number"),
        };

        /// <summary>Reads a text.</summary>
        public string ReadText() => Encoding.UTF8.GetString(ReadUtf8());

        /// <summary>Reads a text and leaves it encoded.</summary>
        public ReadOnlySpan<byte> ReadUtf8() => Take(Expect(3, "a text"));

        /// <summary>Reads bytes.</summary>
        public ReadOnlySpan<byte> ReadBytes() => Take(Expect(2, "bytes"));

        /// <summary>Begins an array, and tells how many values follow.</summary>
        public int ReadArrayHead() => Count(Expect(4, "an array"), 1);

        /// <summary>Begins a map, and tells how many keys and values follow, in turn.</summary>
        public int ReadMapHead() => Count(Expect(5, "a map"), 2);

        /// <summary>Reads a tag; its content follows.</summary>
        public ulong ReadTag() => Expect(6, "a tag");

        /// <summary>What claims more elements than there are bytes is refused before anything is allocated.</summary>
        private int Count(ulong count, ulong each) => count <= (ulong)(bytes.Length - position) / each
            ? (int)count
            : throw new PerperValueException("truncated", "the bytes end before the value does");

        /// <summary>Reads a date-time as it is written.</summary>
        internal string ReadDateTimeText()
        {
            if (Peek() != ValueKind.DateTime)
            {
                throw Unexpected("a date-time");
            }

            ReadTag();
            return ReadText();
        }

        /// <summary>Reads a date-time. What is finer than 100 ns is cut off.</summary>
        public DateTimeOffset ReadDateTime()
        {
            var text = ReadDateTimeText();
            return TryParseDateTime(text, exact: false, out var value) ? value : throw new PerperValueException("tag", $"{text} is no date-time that .NET can hold");
        }

        /// <summary>Parses a date-time; <paramref name="exact"/> asks that nothing of it be lost.</summary>
        internal static bool TryParseDateTime(string text, bool exact, out DateTimeOffset value)
        {
            value = default;
            if (text.Length < 20 || !DateTime.TryParseExact(text.AsSpan(0, 19), "yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture, DateTimeStyles.None, out var local))
            {
                return false;
            }

            var at = 19;
            if (text[at] == '.')
            {
                var unit = TimeSpan.TicksPerSecond;
                for (at++; at < text.Length && char.IsDigit(text[at]); at++)
                {
                    unit /= 10;
                    if (unit == 0 && exact && text[at] != '0')
                    {
                        return false;
                    }

                    local = local.AddTicks((text[at] - '0') * unit);
                }
            }

            var offset = TimeSpan.Zero;
            var zone = text.AsSpan(at);
            if (!zone.SequenceEqual("Z"))
            {
                if (zone.Length != 6 || !TimeSpan.TryParseExact(zone.Slice(1), "hh\\:mm", CultureInfo.InvariantCulture, out offset))
                {
                    return false;
                }

                offset = zone[0] == '-' ? -offset : offset;
            }

            // .NET knows no offsets beyond 14 hours; the instant is the same in UTC.
            if (offset.Duration() > TimeSpan.FromHours(14))
            {
                value = new DateTimeOffset(local - offset, TimeSpan.Zero);
                return !exact;
            }

            value = new DateTimeOffset(local, offset);
            return true;
        }

        /// <summary>Reads a decimal number as exponent and coefficient; an integer is one, too.</summary>
        internal (BigInteger Coefficient, long Exponent) ReadDecimalParts()
        {
            switch (Peek())
            {
                case ValueKind.Integer:
                    return (ReadInteger(), 0);
                case ValueKind.Decimal:
                    ReadTag();
                    ReadArrayHead();
                    var exponent = ReadInt64();
                    return (ReadInteger(), exponent);
                default:
                    throw Unexpected("a decimal");
            }
        }

        /// <summary>Reads a decimal number that .NET can hold exactly; an integer is one, too.</summary>
        public decimal ReadDecimal()
        {
            var (coefficient, exponent) = ReadDecimalParts();
            return TryMakeDecimal(coefficient, exponent, out var value)
                ? value
                : throw new PerperValueException("range", "the decimal has more digits than System.Decimal can hold");
        }

        internal static bool TryMakeDecimal(BigInteger coefficient, long exponent, out decimal value)
        {
            value = 0;
            if (coefficient.IsZero)
            {
                return true;
            }

            while (exponent < -28 && BigInteger.Remainder(coefficient, 10).IsZero)
            {
                coefficient /= 10;
                exponent++;
            }

            if (exponent is < -28 or > 28)
            {
                return false;
            }

            if (exponent > 0)
            {
                coefficient *= BigInteger.Pow(10, (int)exponent);
                exponent = 0;
            }

            var magnitude = BigInteger.Abs(coefficient);
            if (magnitude >> 96 != 0)
            {
                return false;
            }

            value = new decimal(
                unchecked((int)(uint)(magnitude & uint.MaxValue)),
                unchecked((int)(uint)((magnitude >> 32) & uint.MaxValue)),
                unchecked((int)(uint)(magnitude >> 64)),
                coefficient.Sign < 0,
                (byte)-exponent);
            return true;
        }

        /// <summary>Reads a UUID.</summary>
        public Guid ReadGuid()
        {
            if (Peek() != ValueKind.Guid)
            {
                throw Unexpected("a UUID");
            }

            ReadTag();
            Span<byte> bytes = stackalloc byte[16];
            ReadBytes().CopyTo(bytes);
            bytes.Slice(0, 4).Reverse();
            bytes.Slice(4, 2).Reverse();
            bytes.Slice(6, 2).Reverse();
            return new Guid(bytes);
        }

        /// <summary>Skips one value, and gives its bytes.</summary>
        public ReadOnlySpan<byte> ReadEncoded()
        {
            var start = position;
            // Counted instead of nested: how deep a value is does not matter here.
            for (ulong pending = 1; pending > 0; pending--)
            {
                var major = PeekByte() >> 5;
                if (major == 7)
                {
                    Take(Take(1)[0] switch { 0xf9 => 2UL, 0xfa => 4UL, 0xfb => 8UL, _ => 0UL });
                    continue;
                }

                var argument = ReadHead().Argument;
                switch (major)
                {
                    case 2 or 3:
                        Take(argument);
                        break;
                    case 4:
                        pending += (ulong)Count(argument, 1);
                        break;
                    case 5:
                        pending += 2 * (ulong)Count(argument, 2);
                        break;
                    case 6:
                        pending++;
                        break;
                }
            }

            return bytes.Slice(start, position - start);
        }
    }
}
