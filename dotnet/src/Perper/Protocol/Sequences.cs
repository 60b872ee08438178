using System;
using System.Collections.Generic;
using System.Linq;
using System.Linq.Expressions;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Threading;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>Arguments and results: several values side by side, rather than one.</summary>
    internal static class Sequences
    {
        /// <summary>The types of a tuple's elements, those of a long one's rest included.</summary>
        internal static IReadOnlyList<Type> TupleTypes(Type tuple)
        {
            var types = new List<Type>();
            while (true)
            {
                var arguments = tuple.GetGenericArguments();
                types.AddRange(arguments.Take(7));
                if (arguments.Length < 8)
                {
                    return types;
                }

                tuple = arguments[7];
            }
        }

        internal static Func<object?[], T> TupleConstructor<T>()
        {
            var elements = Expression.Parameter(typeof(object?[]));
            var create = Expression.Lambda<Func<object?[], T>>(Nest(typeof(T), 0), elements).Compile();
            return create;

            Expression Nest(Type tuple, int start)
            {
                var arguments = tuple.GetGenericArguments();
                var values = arguments.Take(7).Select((type, index) => (Expression)Expression.Convert(Expression.ArrayIndex(elements, Expression.Constant(start + index)), type));
                if (arguments.Length == 8)
                {
                    values = values.Append(Nest(arguments[7], start + 7));
                }

                return Expression.New(tuple.GetConstructor(arguments)!, values);
            }
        }

        internal static Func<object?[], T> Constructor<T>(ConstructorInfo constructor)
        {
            var arguments = Expression.Parameter(typeof(object?[]));
            var values = constructor.GetParameters().Select((parameter, index) => Expression.Convert(Expression.ArrayIndex(arguments, Expression.Constant(index)), parameter.ParameterType));
            return Expression.Lambda<Func<object?[], T>>(Expression.New(constructor, values), arguments).Compile();
        }

        internal static object? Default(Type type) => type.IsValueType ? Activator.CreateInstance(type) : null;

        /// <summary>Whether a type stands for several results. A class <c>Tuple</c> is one value.</summary>
        internal static bool IsSeveral(Type type) => type.IsValueType && type.IsGenericType && typeof(ITuple).IsAssignableFrom(type);

        internal static class Results<T>
        {
            private static readonly IReadOnlyList<Type>? Types = IsSeveral(typeof(T)) ? TupleTypes(typeof(T)) : null;
            private static readonly Func<object?[], T>? Create = Types is null ? null : TupleConstructor<T>();

            /// <summary>Writes results, each behind its length.</summary>
            internal static void Write(RecordWriter record, T result)
            {
                if (result is PerperResults results)
                {
                    record.WriteCount(results.Values.Count);
                    foreach (var value in results.Values)
                    {
                        record.WriteValue(value);
                    }

                    return;
                }

                if (Types is null)
                {
                    record.WriteCount(result is null ? 0 : 1);
                    if (result is not null)
                    {
                        record.WriteValue(result);
                    }

                    return;
                }

                var tuple = (ITuple)result!;
                record.WriteCount(tuple.Length);
                for (var index = 0; index < tuple.Length; index++)
                {
                    record.WriteValue(tuple[index]);
                }
            }

            /// <summary>Reads results. Surplus ones are nobody's; missing ones are null where that is possible.</summary>
            internal static T Read(ref RecordReader record)
            {
                var count = record.ReadCount();
                try
                {
                    if (Create is null)
                    {
                        return ReadOne(ref record, count);
                    }

                    var values = new object?[Types!.Count];
                    for (var index = 0; index < values.Length; index++)
                    {
                        values[index] = index < count ? PerperValues.DeserializeTrusted(record.ReadBytes().Span, Types[index]) : Missing(Types[index], index, count);
                    }

                    return Create(values);
                }
                catch (PerperValueException error)
                {
                    throw error.Within("results");
                }
            }

            private static T ReadOne(ref RecordReader record, int count)
            {
                if (typeof(T) == typeof(PerperResults))
                {
                    return (T)(object)new PerperResults(ReadAll(ref record, count));
                }

                if (count == 0)
                {
                    return (T)Missing(typeof(T), 0, 0)!;
                }

                // A caller that takes anything takes everything.
                if (count > 1 && typeof(T) == typeof(object))
                {
                    return (T)(object)ReadAll(ref record, count);
                }

                return PerperValues.DeserializeTrusted<T>(record.ReadBytes().Span);
            }

            private static object?[] ReadAll(ref RecordReader record, int count)
            {
                var several = new object?[count];
                for (var index = 0; index < count; index++)
                {
                    several[index] = PerperValues.DeserializeTrusted<object?>(record.ReadBytes().Span);
                }

                return several;
            }

            private static object? Missing(Type type, int index, int count) => !type.IsValueType || Nullable.GetUnderlyingType(type) is not null
                ? null
                : throw new PerperValueException("missing", $"expected a {type} as result {index}, but there are {count}");
        }

        /// <summary>
        /// The arguments of a call for the parameters of a handler. <paramref name="parameters"/> null takes them as they
        /// come; <see cref="CancellationToken"/>s among the parameters are no arguments and get that of the execution.
        /// </summary>
        internal static object?[] ReadArguments(IReadOnlyList<ReadOnlyMemory<byte>> arguments, ParameterInfo[]? parameters, CancellationToken cancellation)
        {
            if (parameters is null)
            {
                return arguments.Select(argument => PerperValues.DeserializeTrusted<object?>(argument.Span)).ToArray();
            }

            var values = new object?[parameters.Length];
            var next = 0;
            for (var index = 0; index < parameters.Length; index++)
            {
                var parameter = parameters[index];
                if (parameter.ParameterType == typeof(CancellationToken))
                {
                    values[index] = cancellation;
                }
                else if (index == parameters.Length - 1 && parameter.IsDefined(typeof(ParamArrayAttribute)))
                {
                    values[index] = ReadRest(arguments, next, parameter);
                }
                else if (next < arguments.Count)
                {
                    values[index] = ReadArgument(arguments[next].Span, next++, parameter, parameter.ParameterType);
                }
                else if (parameter.HasDefaultValue)
                {
                    // The default of a struct is told as null.
                    values[index] = parameter.DefaultValue ?? Default(parameter.ParameterType);
                }
                else
                {
                    throw new PerperValueException("missing", $"parameter '{parameter.Name}' ({parameter.ParameterType}) got no argument: the call has {arguments.Count}");
                }
            }

            return values;
        }

        private static object? ReadArgument(ReadOnlySpan<byte> argument, int number, ParameterInfo parameter, Type type)
        {
            try
            {
                return PerperValues.DeserializeTrusted(argument, type);
            }
            catch (PerperValueException error)
            {
                throw new PerperValueException(error.Kind, $"argument for parameter '{parameter.Name}' ({type}) does not fit: {error.Message}", $"arguments[{number}]");
            }
        }

        private static Array ReadRest(IReadOnlyList<ReadOnlyMemory<byte>> arguments, int next, ParameterInfo parameter)
        {
            var type = parameter.ParameterType.GetElementType()!;
            // One array in place of its elements, as C# itself allows; unless an element could be an array.
            if (arguments.Count == next + 1 && type != typeof(object) && !type.IsArray
                && (type == typeof(string) || !typeof(System.Collections.IEnumerable).IsAssignableFrom(type))
                && new ValueReader(arguments[next].Span).Peek() == ValueKind.Array)
            {
                return (Array)ReadArgument(arguments[next].Span, next, parameter, parameter.ParameterType)!;
            }

            var rest = Array.CreateInstance(type, Math.Max(0, arguments.Count - next));
            for (var index = 0; index < rest.Length; index++)
            {
                rest.SetValue(ReadArgument(arguments[next + index].Span, next + index, parameter, type), index);
            }

            return rest;
        }
    }
}
