using System;
using System.Collections;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Linq.Expressions;
using System.Numerics;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

using Perper.Model;

// From objects to values and back, in one file. PerperValues is what others use. Each type gets one converter, found
// once by reflection (Converters.Create, the table of all rules) and kept; from then on no reflection is in the way: a
// member is read and written through a delegate made of its accessor.
namespace Perper.Protocol
{
    /// <summary>Turns objects into the values that agents exchange, and back.</summary>
    public static class PerperValues
    {
        [ThreadStatic]
        private static ValueWriter? spare;

        /// <summary>Encodes an object.</summary>
        /// <exception cref="PerperValueException">It cannot be a value; the message says where and why.</exception>
        public static byte[] Serialize<T>(T value)
        {
            var writer = spare ?? new ValueWriter();
            // A member that serializes something itself, meanwhile, gets another one.
            spare = null;
            writer.Clear();
            Converters.Write(writer, value);
            var encoded = writer.ToArray();
            spare = writer;
            return encoded;
        }

        /// <summary>Decodes an object out of bytes from anywhere: they are checked first.</summary>
        /// <exception cref="PerperValueException">They are no value, or not one of the type; the message says where and why.</exception>
        public static T Deserialize<T>(ReadOnlySpan<byte> encoded)
        {
            try
            {
                Generated.PerperUniffiFunctions.Validate(encoded);
            }
            catch (Generated.NativeErrorException.Failed error)
            {
                var path = error.Details["path"];
                var fault = path.Length > 0 && error.Text.StartsWith(path + ": ", StringComparison.Ordinal) ? error.Text.Substring(path.Length + 2) : error.Text;
                throw new PerperValueException(error.Details["reason"], fault, path);
            }

            return DeserializeTrusted<T>(encoded);
        }

        /// <summary>Decodes an object out of bytes that the Fabric has checked.</summary>
        internal static T DeserializeTrusted<T>(ReadOnlySpan<byte> encoded)
        {
            var reader = new ValueReader(encoded);
            return Converters.Of<T>.Instance.Read(ref reader);
        }

        /// <summary>As <see cref="DeserializeTrusted{T}"/>, of a type that is known at run time only.</summary>
        internal static object? DeserializeTrusted(ReadOnlySpan<byte> encoded, Type type)
        {
            var reader = new ValueReader(encoded);
            return Converters.For(type).ReadObject(ref reader);
        }

        /// <summary>The canonical form of an encoded value: two values are equal if the bytes of theirs are.</summary>
        public static byte[] Canonicalise(ReadOnlySpan<byte> encoded) => Generated.PerperUniffiFunctions.Canonicalise(encoded);

        /// <summary>The key that an encoded value makes in a dictionary: bytes in the order of the values.</summary>
        public static byte[] EncodeKey(ReadOnlySpan<byte> encoded) => Generated.PerperUniffiFunctions.EncodeKey(encoded);

        /// <summary>Writes and reads a type by a converter of one's own. To be called before the type is first used.</summary>
        public static void Register<T>(ValueConverter<T> converter) => Converters.Register(converter);
    }

    /// <summary>Writes and reads objects of one type, whatever it is.</summary>
    public abstract class ValueConverter
    {
        internal abstract void WriteObject(ValueWriter writer, object value);

        internal abstract object? ReadObject(ref ValueReader reader);
    }

    /// <summary>Writes and reads objects of a type.</summary>
    public abstract class ValueConverter<T> : ValueConverter
    {
        /// <summary>Writes exactly one value.</summary>
        public abstract void Write(ValueWriter writer, T value);

        /// <summary>Reads exactly one value.</summary>
        public abstract T Read(ref ValueReader reader);

        internal override void WriteObject(ValueWriter writer, object value) => Write(writer, (T)value);

        internal override object? ReadObject(ref ValueReader reader) => Read(ref reader);
    }

    /// <summary>Finds the converters of types.</summary>
    internal static class Converters
    {
        private static readonly ConcurrentDictionary<Type, ValueConverter> Untyped = new();
        private static readonly ConcurrentDictionary<Type, ValueConverter> Registered = new();

        internal static void Register<T>(ValueConverter<T> converter) => Registered[typeof(T)] = converter;

        /// <summary>The converter of a type. Looked up through a static field, which costs nothing once it is there.</summary>
        internal static class Of<T>
        {
            internal static readonly ValueConverter<T> Instance = Make();

            private static ValueConverter<T> Make()
            {
                try
                {
                    return (ValueConverter<T>)Create(typeof(T));
                }
                catch (PerperValueException error)
                {
                    return new NoConverter<T>(error.Kind, error.Message);
                }
            }
        }

        internal static ValueConverter For(Type type) => Untyped.GetOrAdd(type, static type =>
        {
            return (ValueConverter)typeof(Of<>).MakeGenericType(type).GetField("Instance", BindingFlags.Static | BindingFlags.NonPublic)!.GetValue(null)!;
        });

        internal static void Write<T>(ValueWriter writer, T value)
        {
            Of<T>.Instance.Write(writer, value);
        }

        /// <summary>Writes an object by what it is rather than by what it was declared as.</summary>
        internal static void WriteDynamic(ValueWriter writer, object? value)
        {
            if (value is null)
            {
                writer.WriteNull();
            }
            else if (value.GetType() == typeof(object))
            {
                throw new PerperValueException("type", "a plain System.Object holds nothing to write");
            }
            else
            {
                For(value.GetType()).WriteObject(writer, value);
            }
        }

        /// <summary>All rules, in the order in which they are tried.</summary>
        private static ValueConverter Create(Type type)
        {
            if (Registered.TryGetValue(type, out var registered))
            {
                return registered;
            }

            if (type.GetCustomAttribute<PerperConverterAttribute>() is { } attribute)
            {
                return (ValueConverter)Activator.CreateInstance(attribute.ConverterType)!;
            }

            if (Simple.TryGetValue(type, out var simple))
            {
                return simple;
            }

            if (type.IsEnum)
            {
                return Generic(typeof(EnumConverter<>), type);
            }

            if (typeof(PerperReferenceBase).IsAssignableFrom(type))
            {
                return Generic(typeof(ReferenceConverter<>), type);
            }

            if (Nullable.GetUnderlyingType(type) is { } underlying)
            {
                return Generic(typeof(NullableConverter<>), underlying);
            }

            if (typeof(ITuple).IsAssignableFrom(type) && type.IsGenericType)
            {
                return Generic(typeof(TupleConverter<>), type);
            }

            if (type.IsArray)
            {
                return type.GetArrayRank() == 1 ? Generic(typeof(ArrayConverter<>), type.GetElementType()!) : throw None(type, "has several dimensions; use arrays of arrays");
            }

            if (Pairs(type) is var (key, value))
            {
                return Generic(typeof(MapConverter<,,>), type, key, value);
            }

            if (Implements(type, typeof(ISet<>)) is { } set)
            {
                return Generic(typeof(SetConverter<,>), type, set);
            }

            if (Implements(type, typeof(IReadOnlySet<>)) is { } readOnlySet)
            {
                return Generic(typeof(SetConverter<,>), type, readOnlySet);
            }

            if (Implements(type, typeof(IEnumerable<>)) is { } element)
            {
                return Generic(typeof(CollectionConverter<,>), type, element);
            }

            if (Nothing(type) is { } why)
            {
                throw None(type, why);
            }

            return Generic(typeof(ObjectConverter<>), type);
        }

        private static PerperValueException None(Type type, string why) =>
            new PerperValueException("type", $"{type} cannot be a value: it {why}");

        /// <summary>Why a type that would pass for an object with members is none.</summary>
        private static string? Nothing(Type type)
        {
            if (typeof(Delegate).IsAssignableFrom(type))
            {
                return "is code";
            }

            if (typeof(MemberInfo).IsAssignableFrom(type) || type.IsPointer || type.IsByRefLike || type == typeof(IntPtr) || type == typeof(UIntPtr))
            {
                return "means something in this process only";
            }

            if (type == typeof(TimeSpan) || type == typeof(DateOnly) || type == typeof(TimeOnly))
            {
                return "has no counterpart in other languages; use a number, a text or a DateTimeOffset";
            }

            if (typeof(System.Threading.Tasks.Task).IsAssignableFrom(type) || typeof(System.IO.Stream).IsAssignableFrom(type) || typeof(Exception).IsAssignableFrom(type))
            {
                return "is no plain data";
            }

            if (type.GetInterfaces().Append(type).Any(it => it.IsGenericType && it.GetGenericTypeDefinition() == typeof(IAsyncEnumerable<>)))
            {
                return "is a stream; pass a PerperStream";
            }

            return null;
        }

        private static ValueConverter Generic(Type definition, params Type[] arguments)
        {
            try
            {
                return (ValueConverter)Activator.CreateInstance(definition.MakeGenericType(arguments), nonPublic: true)!;
            }
            catch (TargetInvocationException error) when (error.InnerException is PerperValueException inner)
            {
                throw inner;
            }
        }

        private static Type? Implements(Type type, Type definition) => type.GetInterfaces().Append(type)
            .FirstOrDefault(it => it.IsGenericType && it.GetGenericTypeDefinition() == definition)?.GetGenericArguments()[0];

        /// <summary>Key and value, where a type is a collection of pairs of them.</summary>
        private static (Type Key, Type Value)? Pairs(Type type) =>
            Implements(type, typeof(IEnumerable<>)) is { IsGenericType: true } pair && pair.GetGenericTypeDefinition() == typeof(KeyValuePair<,>)
                ? (pair.GetGenericArguments()[0], pair.GetGenericArguments()[1])
                : null;

        private static readonly Dictionary<Type, ValueConverter> Simple = new ValueConverter[]
        {
            new DynamicConverter(),
            new Rule<bool>((writer, value) => writer.WriteBoolean(value), (ref ValueReader reader) => reader.ReadBoolean()),
            Integer(value => value, long.MinValue, long.MaxValue, value => value),
            Integer(value => value, int.MinValue, int.MaxValue, value => (int)value),
            Integer(value => value, short.MinValue, short.MaxValue, value => (short)value),
            Integer(value => value, sbyte.MinValue, sbyte.MaxValue, value => (sbyte)value),
            Integer(value => value, byte.MinValue, byte.MaxValue, value => (byte)value),
            Integer(value => value, ushort.MinValue, ushort.MaxValue, value => (ushort)value),
            Integer(value => value, uint.MinValue, uint.MaxValue, value => (uint)value),
            new Rule<ulong>((writer, value) => writer.WriteInteger(value), (ref ValueReader reader) =>
            {
                var value = reader.ReadInteger();
                return value.Sign >= 0 && value <= ulong.MaxValue ? (ulong)value : throw ValueReader.OutOfRange(value, "System.UInt64");
            }),
            new Rule<BigInteger>((writer, value) => writer.WriteInteger(value), (ref ValueReader reader) => reader.ReadInteger()),
            new Rule<double>((writer, value) => writer.WriteDouble(value), (ref ValueReader reader) => reader.ReadDouble()),
            new Rule<float>((writer, value) => writer.WriteDouble(value), (ref ValueReader reader) => (float)reader.ReadDouble()),
            new Rule<decimal>((writer, value) => writer.WriteDecimal(value), (ref ValueReader reader) => reader.ReadDecimal()),
            new Rule<char>(
                (writer, value) => writer.WriteText(new ReadOnlySpan<char>(new[] { value })),
                (ref ValueReader reader) => reader.ReadText() is { Length: 1 } text ? text[0] : throw new PerperValueException("type", "expected a text of one character")),
            new Rule<string?>(
                (writer, value) =>
                {
                    if (value is null)
                    {
                        writer.WriteNull();
                    }
                    else
                    {
                        writer.WriteText(value);
                    }
                },
                (ref ValueReader reader) => reader.TryReadNull() ? null : reader.ReadText()),
            new Rule<byte[]?>(
                (writer, value) =>
                {
                    if (value is null)
                    {
                        writer.WriteNull();
                    }
                    else
                    {
                        writer.WriteBytes(value);
                    }
                },
                (ref ValueReader reader) => reader.TryReadNull() ? null : Bytes(ref reader)),
            new Rule<ReadOnlyMemory<byte>>((writer, value) => writer.WriteBytes(value.Span), (ref ValueReader reader) => Bytes(ref reader)),
            new Rule<Memory<byte>>((writer, value) => writer.WriteBytes(value.Span), (ref ValueReader reader) => Bytes(ref reader)),
            new Rule<Guid>((writer, value) => writer.WriteGuid(value), (ref ValueReader reader) => reader.ReadGuid()),
            new Rule<DateTimeOffset>((writer, value) => writer.WriteDateTime(value), (ref ValueReader reader) => reader.ReadDateTime()),
            new Rule<DateTime>(
                (writer, value) => writer.WriteDateTime(value.Kind != DateTimeKind.Unspecified
                    ? new DateTimeOffset(value)
                    : throw new PerperValueException("type", "a DateTime of unspecified kind is no point in time; use a DateTimeOffset, or DateTime.SpecifyKind")),
                (ref ValueReader reader) => reader.ReadDateTime().UtcDateTime),
            new Rule<PerperTagged?>(
                (writer, value) =>
                {
                    if (value is null)
                    {
                        writer.WriteNull();
                        return;
                    }

                    writer.WriteTag(value.Tag);
                    writer.Enter();
                    WriteDynamic(writer, value.Content);
                    writer.Leave();
                },
                (ref ValueReader reader) => reader.TryReadNull() ? null : new PerperTagged(reader.ReadTag(), Of<object?>.Instance.Read(ref reader))),
        }.ToDictionary(converter => converter.GetType().BaseType!.GetGenericArguments()[0]);

        /// <summary>Bytes, or an array of small numbers, which is what some languages have for bytes.</summary>
        private static byte[] Bytes(ref ValueReader reader)
        {
            if (reader.Peek() != ValueKind.Array)
            {
                return reader.ReadBytes().ToArray();
            }

            var bytes = new byte[reader.ReadArrayHead()];
            for (var index = 0; index < bytes.Length; index++)
            {
                bytes[index] = Of<byte>.Instance.Read(ref reader);
            }

            return bytes;
        }

        private static ValueConverter Integer<T>(Func<T, long> widen, long smallest, long largest, Func<long, T> narrow) => new Rule<T>(
            (writer, value) => writer.WriteInteger(widen(value)),
            (ref ValueReader reader) =>
            {
                var value = reader.ReadInt64();
                return value >= smallest && value <= largest ? narrow(value) : throw ValueReader.OutOfRange(value, typeof(T).ToString());
            });

        private delegate T Reading<T>(ref ValueReader reader);

        /// <summary>A type that is one kind of value.</summary>
        private sealed class Rule<T> : ValueConverter<T>
        {
            private readonly Action<ValueWriter, T> write;
            private readonly Reading<T> read;

            internal Rule(Action<ValueWriter, T> write, Reading<T> read)
            {
                this.write = write;
                this.read = read;
            }

            public override void Write(ValueWriter writer, T value) => write(writer, value);

            public override T Read(ref ValueReader reader) => read(ref reader);
        }

        /// <summary><see cref="object"/>: written as what it is, read as what comes.</summary>
        private sealed class DynamicConverter : ValueConverter<object?>
        {
            public override void Write(ValueWriter writer, object? value) => WriteDynamic(writer, value);

            public override object? Read(ref ValueReader reader)
            {
                switch (reader.Peek())
                {
                    case ValueKind.Null:
                        reader.TryReadNull();
                        return null;
                    case ValueKind.Boolean:
                        return reader.ReadBoolean();
                    case ValueKind.Integer:
                        var integer = reader.ReadInteger();
                        return integer >= long.MinValue && integer <= long.MaxValue ? (object)(long)integer : integer;
                    case ValueKind.Float:
                        return reader.ReadDouble();
                    case ValueKind.Text:
                        return reader.ReadText();
                    case ValueKind.Bytes:
                        return reader.ReadBytes().ToArray();
                    case ValueKind.Guid:
                        return reader.ReadGuid();
                    case ValueKind.Array:
                        return Of<List<object?>>.Instance.Read(ref reader);
                    case ValueKind.Set:
                        return Of<HashSet<object?>>.Instance.Read(ref reader);
                    case ValueKind.Map:
                        return Map(Of<List<KeyValuePair<object?, object?>>>.Instance.Read(ref reader));
                    case ValueKind.Reference:
                        return Of<PerperReferenceBase?>.Instance.Read(ref reader);
                    case ValueKind.DateTime:
                        var text = reader.ReadDateTimeText();
                        // Rather a tag than a loss.
                        return ValueReader.TryParseDateTime(text, exact: true, out var time) ? time : new PerperTagged(0, text);
                    case ValueKind.Decimal:
                        var (coefficient, exponent) = reader.ReadDecimalParts();
                        return ValueReader.TryMakeDecimal(coefficient, exponent, out var number) ? number : new PerperTagged(4, new List<object?> { exponent, coefficient });
                    default:
                        return Of<PerperTagged?>.Instance.Read(ref reader);
                }
            }

            private static object Map(List<KeyValuePair<object?, object?>> entries)
            {
                if (entries.All(entry => entry.Key is string))
                {
                    return entries.ToDictionary(entry => (string)entry.Key!, entry => entry.Value);
                }

                return entries.All(entry => entry.Key is not null) ? entries.ToDictionary(entry => entry.Key!, entry => entry.Value) : entries;
            }
        }

        /// <summary>For a type that cannot be a value: says so where one of it is met, so that the path is told.</summary>
        private sealed class NoConverter<T> : ValueConverter<T>
        {
            private readonly string kind;
            private readonly string why;

            internal NoConverter(string kind, string why)
            {
                this.kind = kind;
                this.why = why;
            }

            public override void Write(ValueWriter writer, T value)
            {
                if (value is not null)
                {
                    throw new PerperValueException(kind, why);
                }

                writer.WriteNull();
            }

            public override T Read(ref ValueReader reader) => throw new PerperValueException(kind, why);
        }

        private sealed class NullableConverter<T> : ValueConverter<T?> where T : struct
        {
            public override void Write(ValueWriter writer, T? value)
            {
                if (value is { } some)
                {
                    Of<T>.Instance.Write(writer, some);
                }
                else
                {
                    writer.WriteNull();
                }
            }

            public override T? Read(ref ValueReader reader) => reader.TryReadNull() ? null : Of<T>.Instance.Read(ref reader);
        }

        /// <summary>An enum is the name of its value. Numbers are read, too: other languages may have nothing else.</summary>
        private sealed class EnumConverter<T> : ValueConverter<T> where T : struct, Enum
        {
            private readonly Dictionary<T, string> names = new();
            private readonly Dictionary<string, T> values = new();
            private readonly Dictionary<string, T> loose = new();

            internal EnumConverter()
            {
                foreach (var field in typeof(T).GetFields(BindingFlags.Public | BindingFlags.Static))
                {
                    var value = (T)field.GetValue(null)!;
                    var name = field.GetCustomAttribute<PerperNameAttribute>()?.Name ?? field.Name;
                    names.TryAdd(value, name);
                    values[name] = value;
                    loose.TryAdd(Loose(name), value);
                }
            }

            public override void Write(ValueWriter writer, T value)
            {
                if (!names.TryGetValue(value, out var name))
                {
                    // Several flags, or no value at all.
                    name = value.ToString();
                    if (name.Length == 0 || char.IsDigit(name[0]) || name[0] == '-')
                    {
                        throw new PerperValueException("type", $"{name} is no value of {typeof(T)}");
                    }
                }

                writer.WriteText(name);
            }

            public override T Read(ref ValueReader reader)
            {
                if (reader.Peek() == ValueKind.Integer)
                {
                    return (T)Enum.ToObject(typeof(T), reader.ReadInt64());
                }

                var name = reader.ReadText();
                if (values.TryGetValue(name, out var value) || loose.TryGetValue(Loose(name), out value))
                {
                    return value;
                }

                return name.Contains(',') && Enum.TryParse<T>(name, out var flags) ? flags : throw new PerperValueException("type", $"'{name}' is no value of {typeof(T)}; there are {string.Join(", ", values.Keys)}");
            }
        }

        /// <summary>How names are compared when none matches exactly.</summary>
        private static string Loose(string name) => name.Replace("_", "", StringComparison.Ordinal).ToLowerInvariant();

        /// <summary>Tuples are arrays of their elements.</summary>
        private sealed class TupleConverter<T> : ValueConverter<T>
        {
            private readonly ValueConverter[] elements;
            private readonly Func<object?[], T> create;

            internal TupleConverter()
            {
                var types = Sequences.TupleTypes(typeof(T));
                elements = types.Select(For).ToArray();
                create = Sequences.TupleConstructor<T>();
            }

            public override void Write(ValueWriter writer, T value)
            {
                if (value is not ITuple tuple)
                {
                    writer.WriteNull();
                    return;
                }

                writer.WriteArrayHead(tuple.Length);
                writer.Enter();
                for (var index = 0; index < tuple.Length; index++)
                {
                    WriteElement(writer, elements[index], tuple[index], index);
                }

                writer.Leave();
            }

            public override T Read(ref ValueReader reader)
            {
                if (!typeof(T).IsValueType && reader.TryReadNull())
                {
                    return default!;
                }

                var count = reader.ReadArrayHead();
                if (count != elements.Length)
                {
                    throw new PerperValueException("type", $"expected an array of {elements.Length}, found one of {count}");
                }

                var values = new object?[count];
                for (var index = 0; index < count; index++)
                {
                    try
                    {
                        values[index] = elements[index].ReadObject(ref reader);
                    }
                    catch (PerperValueException error)
                    {
                        throw error.WithinElement(index);
                    }
                }

                return create(values);
            }
        }

        private static void WriteElement(ValueWriter writer, ValueConverter converter, object? element, int index)
        {
            try
            {
                if (element is null)
                {
                    writer.WriteNull();
                }
                else
                {
                    converter.WriteObject(writer, element);
                }
            }
            catch (PerperValueException error)
            {
                throw error.WithinElement(index);
            }
        }

        private static void WriteElements<T>(ValueWriter writer, IEnumerable<T> elements, int count)
        {
            writer.WriteArrayHead(count);
            writer.Enter();
            var index = 0;
            try
            {
                foreach (var element in elements)
                {
                    Of<T>.Instance.Write(writer, element);
                    index++;
                }
            }
            catch (PerperValueException error)
            {
                throw error.WithinElement(index);
            }

            writer.Leave();
        }

        private static T[] ReadElements<T>(ref ValueReader reader)
        {
            if (reader.Peek() == ValueKind.Set)
            {
                reader.ReadTag();
            }

            // A claimed count has been checked against the bytes that there are.
            var elements = new T[reader.ReadArrayHead()];
            for (var index = 0; index < elements.Length; index++)
            {
                try
                {
                    elements[index] = Of<T>.Instance.Read(ref reader);
                }
                catch (PerperValueException error)
                {
                    throw error.WithinElement(index);
                }
            }

            return elements;
        }

        private sealed class ArrayConverter<T> : ValueConverter<T[]?>
        {
            public override void Write(ValueWriter writer, T[]? value)
            {
                if (value is null)
                {
                    writer.WriteNull();
                }
                else
                {
                    WriteElements(writer, value, value.Length);
                }
            }

            public override T[]? Read(ref ValueReader reader) => reader.TryReadNull() ? null : ReadElements<T>(ref reader);
        }

        /// <summary>Everything that enumerates elements.</summary>
        private sealed class CollectionConverter<TCollection, T> : ValueConverter<TCollection>
        {
            private readonly Func<IEnumerable<T>, TCollection>? create = Creation<TCollection, T>(typeof(List<T>));

            public override void Write(ValueWriter writer, TCollection value)
            {
                if (value is null)
                {
                    writer.WriteNull();
                    return;
                }

                var elements = (IEnumerable<T>)value;
                // What cannot tell its number must be enumerated once only.
                var counted = elements as IReadOnlyCollection<T> ?? elements.ToArray();
                WriteElements(writer, counted, counted.Count);
            }

            public override TCollection Read(ref ValueReader reader)
            {
                if (!typeof(TCollection).IsValueType && reader.TryReadNull())
                {
                    return default!;
                }

                return create is null ? throw Unreadable(typeof(TCollection)) : create(ReadElements<T>(ref reader));
            }
        }

        private sealed class SetConverter<TSet, T> : ValueConverter<TSet>
        {
            private readonly Func<IEnumerable<T>, TSet>? create = Creation<TSet, T>(typeof(HashSet<T>));

            public override void Write(ValueWriter writer, TSet value)
            {
                if (value is null)
                {
                    writer.WriteNull();
                    return;
                }

                var elements = (IReadOnlyCollection<T>)((IEnumerable<T>)value as IReadOnlyCollection<T> ?? ((IEnumerable<T>)value).ToArray());
                writer.WriteTag(258);
                WriteElements(writer, elements, elements.Count);
            }

            public override TSet Read(ref ValueReader reader)
            {
                if (!typeof(TSet).IsValueType && reader.TryReadNull())
                {
                    return default!;
                }

                return create is null ? throw Unreadable(typeof(TSet)) : create(ReadElements<T>(ref reader));
            }
        }

        private static PerperValueException Unreadable(Type type) => new PerperValueException("type", $"{type} cannot be read: it has neither a constructor of its elements nor one without parameters and an Add");

        /// <summary>How a collection is made of its elements; null where there is no way.</summary>
        private static Func<IEnumerable<T>, TCollection>? Creation<TCollection, T>(Type usual)
        {
            var type = typeof(TCollection);
            if (type.IsAssignableFrom(usual))
            {
                type = usual;
            }

            var constructor = type.IsAbstract ? null : type.GetConstructor(new[] { typeof(IEnumerable<T>) });
            if (constructor is not null)
            {
                var elements = Expression.Parameter(typeof(IEnumerable<T>));
                return Expression.Lambda<Func<IEnumerable<T>, TCollection>>(Expression.Convert(Expression.New(constructor, elements), typeof(TCollection)), elements).Compile();
            }

            // ImmutableArray<T> and its like, and whatever else has a factory beside it; their Add throws.
            var factory = type.IsGenericType
                ? type.Assembly.GetType($"{type.Namespace}.{type.Name.Split('`')[0]}")?.GetMethods(BindingFlags.Public | BindingFlags.Static)
                    .FirstOrDefault(method => method.Name == "CreateRange" && method.GetGenericArguments().Length == type.GetGenericArguments().Length && method.GetParameters().Length == 1)
                : null;
            if (factory is not null)
            {
                var create = factory.MakeGenericMethod(type.GetGenericArguments());
                return elements => (TCollection)create.Invoke(null, new object[] { elements })!;
            }

            if (!type.IsAbstract && typeof(ICollection<T>).IsAssignableFrom(type) && (type.IsValueType || type.GetConstructor(Type.EmptyTypes) is not null))
            {
                return elements =>
                {
                    var collection = (ICollection<T>)Activator.CreateInstance(type)!;
                    foreach (var element in elements)
                    {
                        collection.Add(element);
                    }

                    return (TCollection)collection;
                };
            }

            return null;
        }

        /// <summary>Collections of pairs are maps, in their order.</summary>
        private sealed class MapConverter<TMap, TKey, TValue> : ValueConverter<TMap>
        {
            private readonly Func<IEnumerable<KeyValuePair<TKey, TValue>>, TMap>? create =
                Creation<TMap, KeyValuePair<TKey, TValue>>(typeof(TKey).IsValueType || !typeof(TMap).IsAssignableFrom(typeof(List<KeyValuePair<TKey, TValue>>))
                    ? typeof(Dictionary<,>).MakeGenericType(typeof(TKey), typeof(TValue))
                    : typeof(List<KeyValuePair<TKey, TValue>>));

            public override void Write(ValueWriter writer, TMap value)
            {
                if (value is null)
                {
                    writer.WriteNull();
                    return;
                }

                var all = (IEnumerable<KeyValuePair<TKey, TValue>>)value;
                var entries = all as IReadOnlyCollection<KeyValuePair<TKey, TValue>> ?? all.ToArray();
                writer.WriteMapHead(entries.Count);
                writer.Enter();
                var index = 0;
                foreach (var entry in entries)
                {
                    try
                    {
                        Of<TKey>.Instance.Write(writer, entry.Key);
                    }
                    catch (PerperValueException error)
                    {
                        throw error.Within($"[key {index}]");
                    }

                    try
                    {
                        Of<TValue>.Instance.Write(writer, entry.Value);
                    }
                    catch (PerperValueException error)
                    {
                        throw error.Within(Step(entry.Key, index));
                    }

                    index++;
                }

                writer.Leave();
            }

            public override TMap Read(ref ValueReader reader)
            {
                if (!typeof(TMap).IsValueType && reader.TryReadNull())
                {
                    return default!;
                }

                if (create is null)
                {
                    throw Unreadable(typeof(TMap));
                }

                var entries = new KeyValuePair<TKey, TValue>[reader.ReadMapHead()];
                for (var index = 0; index < entries.Length; index++)
                {
                    TKey key;
                    try
                    {
                        key = Of<TKey>.Instance.Read(ref reader);
                    }
                    catch (PerperValueException error)
                    {
                        throw error.Within($"[key {index}]");
                    }

                    try
                    {
                        entries[index] = new(key, Of<TValue>.Instance.Read(ref reader));
                    }
                    catch (PerperValueException error)
                    {
                        throw error.Within(Step(key, index));
                    }
                }

                return create(entries);
            }

            private static string Step(TKey key, int index) => key switch
            {
                string name => $"['{name}']",
                sbyte or byte or short or ushort or int or uint or long or ulong or BigInteger => $"[{key}]",
                _ => $"[entry {index}]",
            };
        }

        /// <summary>References: <c>27([type, id, {options}])</c>.</summary>
        private sealed class ReferenceConverter<T> : ValueConverter<T?> where T : PerperReferenceBase
        {
            public override void Write(ValueWriter writer, T? value)
            {
                if (value is null)
                {
                    writer.WriteNull();
                    return;
                }

                var (type, id, options) = value.ToParts();
                var entries = options.ToArray();
                writer.WriteTag(27);
                writer.WriteArrayHead(3);
                writer.WriteText(type);
                writer.WriteText(id);
                writer.Enter();
                writer.WriteMapHead(entries.Length);
                foreach (var (name, option) in entries)
                {
                    writer.WriteText(name);
                    WriteDynamic(writer, option);
                }

                writer.Leave();
            }

            public override T? Read(ref ValueReader reader)
            {
                if (reader.TryReadNull())
                {
                    return null;
                }

                if (reader.Peek() != ValueKind.Reference)
                {
                    throw reader.Unexpected($"a {typeof(T).Name}");
                }

                reader.ReadTag();
                reader.ReadArrayHead();
                var (type, id) = (reader.ReadText(), reader.ReadText());
                var options = Of<Dictionary<string, object?>>.Instance.Read(ref reader);
                return Make(type, id, options) as T ?? throw new PerperValueException("type", $"expected a {typeof(T).Name}, found a reference to {type}");
            }

            private static PerperReferenceBase Make(string type, string id, Dictionary<string, object?> options)
            {
                TOption Option<TOption>(string name, TOption usual)
                {
                    if (!options.Remove(name, out var option))
                    {
                        return usual;
                    }

                    // An integral float is an integer here as well.
                    option = option is double real && Math.Floor(real) == real && Math.Abs(real) < 1L << 53 ? (long)real : option;
                    return option is TOption it ? it : throw new PerperValueException("type", $"option '{name}' of a reference to {type} is {option ?? "null"}, not a {typeof(TOption).Name}");
                }

                PerperReferenceBase reference = type switch
                {
                    PerperAgent.Type => new PerperAgent(id, Option("instance", "")),
                    PerperExecution.Type => new PerperExecution(id),
                    PerperStream.Type => PerperStream.At(id, Option<long?>("start", null), Option("stride", 0L), Option("localToData", false)),
                    PerperDictionary.Type => new PerperDictionary(id),
                    PerperList.Type => new PerperList(id),
                    _ => new PerperReference(type, id),
                };
                reference.Options = options.Count > 0 ? options : null;
                return reference;
            }
        }

        /// <summary>A class, struct or record: a map from the names of its members.</summary>
        private sealed class ObjectConverter<T> : ValueConverter<T>
        {
            private readonly Member<T>[] members;
            private readonly Func<T>? create;
            private readonly Func<object?[], T>? construct;
            private readonly Parameter[] parameters = Array.Empty<Parameter>();
            private readonly bool isFinal = typeof(T).IsValueType || typeof(T).IsSealed;

            /// <summary>What a constructor wants, and which member it is.</summary>
            private sealed record Parameter(int Member, object? Default, ValueConverter Converter);

            internal ObjectConverter()
            {
                members = Members().ToArray();
                var type = typeof(T);
                if (type.IsAbstract)
                {
                    return;
                }

                var constructors = type.GetConstructors();
                if (type.IsValueType && constructors.Length == 0)
                {
                    create = () => default!;
                }
                else if (constructors.FirstOrDefault(constructor => constructor.GetParameters().Length == 0) is not null)
                {
                    create = Expression.Lambda<Func<T>>(Expression.New(type)).Compile();
                }
                else if (constructors.OrderByDescending(constructor => constructor.GetParameters().Length).FirstOrDefault() is { } constructor)
                {
                    construct = Sequences.Constructor<T>(constructor);
                    parameters = constructor.GetParameters().Select(parameter => new Parameter(
                        Array.FindIndex(members, member => Loose(member.OwnName) == Loose(parameter.Name!)),
                        parameter.HasDefaultValue ? parameter.DefaultValue : Sequences.Default(parameter.ParameterType),
                        For(parameter.ParameterType))).ToArray();
                }
            }

            private static IEnumerable<Member<T>> Members()
            {
                const BindingFlags Public = BindingFlags.Public | BindingFlags.Instance;
                var seen = new HashSet<string>();
                // Of a member that hides another, only the outer one.
                foreach (var property in typeof(T).GetProperties(Public))
                {
                    if (property.GetMethod is { IsPublic: true } && property.GetIndexParameters().Length == 0
                        && !property.PropertyType.IsByRefLike && property.GetCustomAttribute<PerperIgnoreAttribute>() is null && seen.Add(property.Name))
                    {
                        yield return (Member<T>)Activator.CreateInstance(typeof(PropertyMember<,>).MakeGenericType(typeof(T), property.PropertyType), property)!;
                    }
                }

                foreach (var field in typeof(T).GetFields(Public))
                {
                    if (field.GetCustomAttribute<PerperIgnoreAttribute>() is null && seen.Add(field.Name))
                    {
                        yield return (Member<T>)Activator.CreateInstance(typeof(FieldMember<,>).MakeGenericType(typeof(T), field.FieldType), field)!;
                    }
                }
            }

            public override void Write(ValueWriter writer, T value)
            {
                if (value is null)
                {
                    writer.WriteNull();
                    return;
                }

                if (!isFinal && value.GetType() != typeof(T))
                {
                    WriteDynamic(writer, value);
                    return;
                }

                writer.WriteMapHead(members.Length);
                writer.Enter();
                foreach (var member in members)
                {
                    writer.WriteUtf8(member.Utf8Name);
                    try
                    {
                        member.Write(writer, ref value);
                    }
                    catch (PerperValueException error)
                    {
                        throw error.WithinMember(member.Name);
                    }
                }

                writer.Leave();
            }

            public override T Read(ref ValueReader reader)
            {
                if (!typeof(T).IsValueType && reader.TryReadNull())
                {
                    return default!;
                }

                if (create is null && construct is null)
                {
                    throw new PerperValueException("type", $"{typeof(T)} cannot be read: it has no public constructor");
                }

                var count = reader.ReadMapHead();
                // Where each member stands, so that they can be read in whatever order the constructor wants them.
                Span<int> positions = members.Length <= 64 ? stackalloc int[members.Length] : new int[members.Length];
                Span<bool> exact = members.Length <= 64 ? stackalloc bool[members.Length] : new bool[members.Length];
                positions.Clear();
                exact.Clear();
                var expected = 0;
                var value = create is null ? default! : create();
                for (var entry = 0; entry < count; entry++)
                {
                    if (reader.Peek() != ValueKind.Text)
                    {
                        reader.ReadEncoded();
                        reader.ReadEncoded();
                        continue;
                    }

                    var name = reader.ReadUtf8();
                    var index = Find(name, expected, out var isExact);
                    if (index < 0 || positions[index] != 0 && (exact[index] || !isExact))
                    {
                        // Unknown, or a worse match than there was before.
                        reader.ReadEncoded();
                        continue;
                    }

                    expected = index + 1;
                    exact[index] = isExact;
                    positions[index] = reader.Position;
                    if (create is null)
                    {
                        reader.ReadEncoded();
                        continue;
                    }

                    ReadMember(ref reader, index, ref value);
                }

                return create is not null ? value : Construct(reader, positions);
            }

            private void ReadMember(ref ValueReader reader, int index, ref T value)
            {
                try
                {
                    members[index].Read(ref reader, ref value);
                }
                catch (PerperValueException error)
                {
                    throw error.WithinMember(members[index].Name);
                }
            }

            private T Construct(ValueReader reader, Span<int> positions)
            {
                var arguments = new object?[parameters.Length];
                for (var index = 0; index < parameters.Length; index++)
                {
                    var parameter = parameters[index];
                    if (parameter.Member < 0 || positions[parameter.Member] == 0)
                    {
                        arguments[index] = parameter.Default;
                        continue;
                    }

                    var at = reader.From(positions[parameter.Member]);
                    try
                    {
                        arguments[index] = parameter.Converter.ReadObject(ref at);
                    }
                    catch (PerperValueException error)
                    {
                        throw error.WithinMember(members[parameter.Member].Name);
                    }

                    positions[parameter.Member] = 0;
                }

                var value = construct!(arguments);
                for (var index = 0; index < positions.Length; index++)
                {
                    if (positions[index] != 0)
                    {
                        var at = reader.From(positions[index]);
                        ReadMember(ref at, index, ref value);
                    }
                }

                return value;
            }

            private int Find(ReadOnlySpan<byte> name, int expected, out bool isExact)
            {
                // Mostly they come in the order in which they were written.
                isExact = true;
                if (expected < members.Length && name.SequenceEqual(members[expected].Utf8Name))
                {
                    return expected;
                }

                for (var index = 0; index < members.Length; index++)
                {
                    if (name.SequenceEqual(members[index].Utf8Name))
                    {
                        return index;
                    }
                }

                isExact = false;
                var loose = Loose(Encoding.UTF8.GetString(name));
                return Array.FindIndex(members, member => Loose(member.Name) == loose);
            }
        }

        private abstract class Member<T>
        {
            protected Member(MemberInfo member)
            {
                OwnName = member.Name;
                Name = member.GetCustomAttribute<PerperNameAttribute>()?.Name ?? CamelCase(member.Name);
                Utf8Name = Encoding.UTF8.GetBytes(Name);
            }

            /// <summary>As declared.</summary>
            internal string OwnName { get; }

            /// <summary>In values.</summary>
            internal string Name { get; }

            internal byte[] Utf8Name { get; }

            internal abstract void Write(ValueWriter writer, ref T owner);

            internal abstract void Read(ref ValueReader reader, ref T owner);
        }

        /// <summary><c>UserName</c> is <c>userName</c>, <c>URL</c> is <c>url</c>, <c>IPAddress</c> is <c>ipAddress</c>.</summary>
        internal static string CamelCase(string name)
        {
            var letters = name.ToCharArray();
            for (var index = 0; index < letters.Length && char.IsUpper(letters[index]); index++)
            {
                // The last capital before a small letter begins the next word.
                if (index > 0 && index + 1 < letters.Length && char.IsLower(letters[index + 1]))
                {
                    break;
                }

                letters[index] = char.ToLowerInvariant(letters[index]);
            }

            return new string(letters);
        }

        private delegate TMember Getting<T, TMember>(ref T owner);

        private delegate void Setting<T, TMember>(ref T owner, TMember value);

        private sealed class PropertyMember<T, TMember> : Member<T>
        {
            private readonly Getting<T, TMember> get;
            private readonly Setting<T, TMember>? set;

            public PropertyMember(PropertyInfo property) : base(property)
            {
                // Methods of structs take their owner by reference, those of classes do not.
                if (typeof(T).IsValueType)
                {
                    get = property.GetMethod!.CreateDelegate<Getting<T, TMember>>();
                    set = property.SetMethod is { IsPublic: true } setter ? setter.CreateDelegate<Setting<T, TMember>>() : null;
                    return;
                }

                var getting = property.GetMethod!.CreateDelegate<Func<T, TMember>>();
                get = (ref T owner) => getting(owner);
                if (property.SetMethod is { IsPublic: true } method)
                {
                    var setting = method.CreateDelegate<Action<T, TMember>>();
                    set = (ref T owner, TMember value) => setting(owner, value);
                }
            }

            internal override void Write(ValueWriter writer, ref T owner) => Of<TMember>.Instance.Write(writer, get(ref owner));

            internal override void Read(ref ValueReader reader, ref T owner)
            {
                if (set is null)
                {
                    // What is computed need not be read.
                    reader.ReadEncoded();
                }
                else
                {
                    set(ref owner, Of<TMember>.Instance.Read(ref reader));
                }
            }
        }

        private sealed class FieldMember<T, TMember> : Member<T>
        {
            private readonly FieldInfo field;

            public FieldMember(FieldInfo field) : base(field) => this.field = field;

            internal override void Write(ValueWriter writer, ref T owner) => Of<TMember>.Instance.Write(writer, (TMember)field.GetValue(owner)!);

            internal override void Read(ref ValueReader reader, ref T owner)
            {
                var value = Of<TMember>.Instance.Read(ref reader);
                if (!field.IsInitOnly)
                {
                    object boxed = owner!;
                    field.SetValue(boxed, value);
                    owner = (T)boxed;
                }
            }
        }
    }
}
