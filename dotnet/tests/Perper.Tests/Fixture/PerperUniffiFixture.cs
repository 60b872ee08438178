// Written by bindings/uniffi/csharp from the metadata of the native library; do not edit.
// `./dev dotnet generate` writes it again.

#nullable enable
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace Perper.Tests.Fixture
{
    /// <summary>The functions of the native library, as they are.</summary>
    internal static unsafe class Native
    {
        /// <summary>Checks once that the library is the one that this file was written for.</summary>
        internal static void Check()
        {
            Uniffi.CheckContract(30, ffi_perper_uniffi_fixture_uniffi_contract_version());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_func_check", 58120, uniffi_perper_uniffi_fixture_checksum_func_check());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_func_check_later", 28040, uniffi_perper_uniffi_fixture_checksum_func_check_later());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_func_echo", 53204, uniffi_perper_uniffi_fixture_checksum_func_echo());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_func_echo_later", 29325, uniffi_perper_uniffi_fixture_checksum_func_echo_later());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_func_live", 75, uniffi_perper_uniffi_fixture_checksum_func_live());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_func_panic_with", 46627, uniffi_perper_uniffi_fixture_checksum_func_panic_with());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_func_sum", 58751, uniffi_perper_uniffi_fixture_checksum_func_sum());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_method_counter_add", 52665, uniffi_perper_uniffi_fixture_checksum_method_counter_add());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_method_counter_add_later", 42168, uniffi_perper_uniffi_fixture_checksum_method_counter_add_later());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_method_counter_larger", 32006, uniffi_perper_uniffi_fixture_checksum_method_counter_larger());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_method_counter_never", 19446, uniffi_perper_uniffi_fixture_checksum_method_counter_never());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_constructor_counter_new", 51610, uniffi_perper_uniffi_fixture_checksum_constructor_counter_new());
            Uniffi.CheckSum("uniffi_perper_uniffi_fixture_checksum_constructor_counter_parsed", 33874, uniffi_perper_uniffi_fixture_checksum_constructor_counter_parsed());
        }

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern RustBuffer ffi_perper_uniffi_fixture_rustbuffer_from_bytes(ForeignBytes @bytes, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rustbuffer_free(RustBuffer @buf, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern uint ffi_perper_uniffi_fixture_uniffi_contract_version();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_func_check();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_func_check_later();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_func_echo();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_func_echo_later();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_func_live();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_func_panic_with();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_func_sum();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_method_counter_add();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_method_counter_add_later();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_method_counter_larger();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_method_counter_never();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_constructor_counter_new();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_fixture_checksum_constructor_counter_parsed();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern sbyte uniffi_perper_uniffi_fixture_fn_func_check(int @size, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fixture_fn_func_check_later(int @size);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern RustBuffer uniffi_perper_uniffi_fixture_fn_func_echo(RustBuffer @value, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fixture_fn_func_echo_later(RustBuffer @value);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern long uniffi_perper_uniffi_fixture_fn_func_live(ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void uniffi_perper_uniffi_fixture_fn_func_panic_with(RustBuffer @text, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fixture_fn_func_sum(ForeignBytes @bytes, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern long uniffi_perper_uniffi_fixture_fn_method_counter_add(ulong @uniffiSelf, long @number, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fixture_fn_method_counter_add_later(ulong @uniffiSelf, long @number);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fixture_fn_method_counter_larger(ulong @uniffiSelf, ulong @other, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fixture_fn_method_counter_never(ulong @uniffiSelf);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fixture_fn_constructor_counter_new(long @start, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fixture_fn_constructor_counter_parsed(RustBuffer @text);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fixture_fn_clone_counter(ulong @ptr, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void uniffi_perper_uniffi_fixture_fn_free_counter(ulong @ptr, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_poll_u64(ulong @handle, delegate* unmanaged[Cdecl]<ulong, sbyte, void> @callback, ulong @callbackData);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_cancel_u64(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong ffi_perper_uniffi_fixture_rust_future_complete_u64(ulong @handle, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_free_u64(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_poll_i64(ulong @handle, delegate* unmanaged[Cdecl]<ulong, sbyte, void> @callback, ulong @callbackData);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_cancel_i64(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern long ffi_perper_uniffi_fixture_rust_future_complete_i64(ulong @handle, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_free_i64(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_poll_rust_buffer(ulong @handle, delegate* unmanaged[Cdecl]<ulong, sbyte, void> @callback, ulong @callbackData);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_cancel_rust_buffer(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern RustBuffer ffi_perper_uniffi_fixture_rust_future_complete_rust_buffer(ulong @handle, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_free_rust_buffer(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_poll_void(ulong @handle, delegate* unmanaged[Cdecl]<ulong, sbyte, void> @callback, ulong @callbackData);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_cancel_void(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_complete_void(ulong @handle, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_fixture_rust_future_free_void(ulong @handle);
    }

    /// <summary>A future of the native library that gives long.</summary>
    internal sealed unsafe class RustFutureI64<T> : RustFuture<T>
    {
        private readonly Func<long, T> lift;

        internal RustFutureI64(ulong future, UniffiLiftError? error, Func<long, T> lift)
            : base(future, error) => this.lift = lift;

        protected override void Poll(ulong data) => Native.ffi_perper_uniffi_fixture_rust_future_poll_i64(Future, Callback, data);

        protected override void CancelFuture() => Native.ffi_perper_uniffi_fixture_rust_future_cancel_i64(Future);

        protected override void FreeFuture() => Native.ffi_perper_uniffi_fixture_rust_future_free_i64(Future);

        protected override T Complete()
        {
            RustCallStatus status = default;
            var crossed = Native.ffi_perper_uniffi_fixture_rust_future_complete_i64(Future, ref status);
            Uniffi.Check(ref status, Error);
            return lift(crossed);
        }
    }

    /// <summary>A future of the native library that gives RustBuffer.</summary>
    internal sealed unsafe class RustFutureRustBuffer<T> : RustFuture<T>
    {
        private readonly Func<RustBuffer, T> lift;

        internal RustFutureRustBuffer(ulong future, UniffiLiftError? error, Func<RustBuffer, T> lift)
            : base(future, error) => this.lift = lift;

        protected override void Poll(ulong data) => Native.ffi_perper_uniffi_fixture_rust_future_poll_rust_buffer(Future, Callback, data);

        protected override void CancelFuture() => Native.ffi_perper_uniffi_fixture_rust_future_cancel_rust_buffer(Future);

        protected override void FreeFuture() => Native.ffi_perper_uniffi_fixture_rust_future_free_rust_buffer(Future);

        protected override T Complete()
        {
            RustCallStatus status = default;
            var crossed = Native.ffi_perper_uniffi_fixture_rust_future_complete_rust_buffer(Future, ref status);
            Uniffi.Check(ref status, Error);
            return lift(crossed);
        }
    }

    /// <summary>A future of the native library that gives ulong.</summary>
    internal sealed unsafe class RustFutureU64<T> : RustFuture<T>
    {
        private readonly Func<ulong, T> lift;

        internal RustFutureU64(ulong future, UniffiLiftError? error, Func<ulong, T> lift)
            : base(future, error) => this.lift = lift;

        protected override void Poll(ulong data) => Native.ffi_perper_uniffi_fixture_rust_future_poll_u64(Future, Callback, data);

        protected override void CancelFuture() => Native.ffi_perper_uniffi_fixture_rust_future_cancel_u64(Future);

        protected override void FreeFuture() => Native.ffi_perper_uniffi_fixture_rust_future_free_u64(Future);

        protected override T Complete()
        {
            RustCallStatus status = default;
            var crossed = Native.ffi_perper_uniffi_fixture_rust_future_complete_u64(Future, ref status);
            Uniffi.Check(ref status, Error);
            return lift(crossed);
        }
    }

    /// <summary>A future of the native library that gives void.</summary>
    internal sealed unsafe class RustFutureVoid<T> : RustFuture<T>
    {
        private readonly Func<T> lift;

        internal RustFutureVoid(ulong future, UniffiLiftError? error, Func<T> lift)
            : base(future, error) => this.lift = lift;

        protected override void Poll(ulong data) => Native.ffi_perper_uniffi_fixture_rust_future_poll_void(Future, Callback, data);

        protected override void CancelFuture() => Native.ffi_perper_uniffi_fixture_rust_future_cancel_void(Future);

        protected override void FreeFuture() => Native.ffi_perper_uniffi_fixture_rust_future_free_void(Future);

        protected override T Complete()
        {
            RustCallStatus status = default;
            Native.ffi_perper_uniffi_fixture_rust_future_complete_void(Future, ref status);
            Uniffi.Check(ref status, Error);
            return lift();
        }
    }

    /// <summary>The functions that belong to no object.</summary>
    internal static unsafe class PerperUniffiFixtureFunctions
    {
        /// <summary>
        /// Fails, or not.
        /// </summary>
        internal static bool Check(int @size)
        {
            Uniffi.EnsureChecked();
            var sizeLowered = @size;
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fixture_fn_func_check(sizeLowered, ref status);
            Uniffi.Check(ref status, static (ref UniffiReader reader) => Converters.ReadTypeTrouble(ref reader));
            return crossed != 0;
        }

        /// <summary>
        /// Fails later, with a text.
        /// </summary>
        internal static Task CheckLaterAsync(int @size, CancellationToken cancellationToken = default)
        {
            Uniffi.EnsureChecked();
            var sizeLowered = @size;
            var future = Native.uniffi_perper_uniffi_fixture_fn_func_check_later(sizeLowered);
            return new RustFutureVoid<bool>(future, static (ref UniffiReader reader) => Converters.ReadTypeFlat(ref reader), static () => true).Start(cancellationToken);
        }

        /// <summary>
        /// Returns what it gets.
        /// </summary>
        internal static Everything Echo(Everything @value)
        {
            Uniffi.EnsureChecked();
            var valueLowered = Uniffi.Lower(@value, Converters.WriteTypeEverything);
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fixture_fn_func_echo(valueLowered, ref status);
            Uniffi.Check(ref status, null);
            return Uniffi.Lift(crossed, Converters.ReadTypeEverything);
        }

        /// <summary>
        /// The same, later.
        /// </summary>
        internal static Task<Everything> EchoLaterAsync(Everything @value, CancellationToken cancellationToken = default)
        {
            Uniffi.EnsureChecked();
            var valueLowered = Uniffi.Lower(@value, Converters.WriteTypeEverything);
            var future = Native.uniffi_perper_uniffi_fixture_fn_func_echo_later(valueLowered);
            return new RustFutureRustBuffer<Everything>(future, null, static crossed => Uniffi.Lift(crossed, Converters.ReadTypeEverything)).Start(cancellationToken);
        }

        /// <summary>
        /// How many counters there are.
        /// </summary>
        internal static long Live()
        {
            Uniffi.EnsureChecked();
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fixture_fn_func_live(ref status);
            Uniffi.Check(ref status, null);
            return crossed;
        }

        /// <summary>
        /// A fault.
        /// </summary>
        internal static void PanicWith(string @text)
        {
            Uniffi.EnsureChecked();
            var textLowered = Uniffi.LowerString(@text);
            RustCallStatus status = default;
            Native.uniffi_perper_uniffi_fixture_fn_func_panic_with(textLowered, ref status);
            Uniffi.Check(ref status, null);
        }

        /// <summary>
        /// A sum over bytes that stay where they are.
        /// </summary>
        internal static ulong Sum(ReadOnlySpan<byte> @bytes)
        {
            Uniffi.EnsureChecked();
            fixed (byte* bytesStart = @bytes)
            {
                RustCallStatus status = default;
                var crossed = Native.uniffi_perper_uniffi_fixture_fn_func_sum(new ForeignBytes(bytesStart, @bytes.Length), ref status);
                Uniffi.Check(ref status, null);
                return crossed;
            }
        }
    }

    /// <summary>
    /// An enum without data.
    /// </summary>
    internal enum Colour
    {
        Red = 1,
        DarkGreen = 2,
    }

    internal static class ColourConverter
    {
        internal static void Write(UniffiWriter writer, Colour value) => writer.WriteInt32((int)value);

        internal static Colour Read(ref UniffiReader reader)
        {
            var variant = reader.ReadInt32();
            return variant is >= 1 and <= 2 ? (Colour)variant : throw Uniffi.NoSuchVariant("Colour", variant);
        }
    }

    /// <summary>
    /// An enum with data.
    /// </summary>
    internal abstract record Shape
    {
        private Shape()
        {
        }

        /// <summary>
        /// With none.
        /// </summary>
        internal sealed record Point() : Shape;

        /// <summary>
        /// With names.
        /// </summary>
        internal sealed record Circle(double Radius) : Shape;

        /// <summary>
        /// Without names.
        /// </summary>
        internal sealed record Polygon(List<double> Item1, bool Item2) : Shape;
    }

    internal static class ShapeConverter
    {
        internal static void Write(UniffiWriter writer, Shape value)
        {
            switch (value)
            {
                case Shape.Point it:
                    writer.WriteInt32(1);
                    break;
                case Shape.Circle it:
                    writer.WriteInt32(2);
                    Converters.WriteFloat64(writer, it.Radius);
                    break;
                case Shape.Polygon it:
                    writer.WriteInt32(3);
                    Converters.WriteSequenceFloat64(writer, it.Item1);
                    Converters.WriteBoolean(writer, it.Item2);
                    break;
            }
        }

        internal static Shape Read(ref UniffiReader reader)
        {
            var variant = reader.ReadInt32();
            switch (variant)
            {
                case 1:
                {
                    return new Shape.Point();
                }
                case 2:
                {
                    return new Shape.Circle(Converters.ReadFloat64(ref reader));
                }
                case 3:
                {
                    return new Shape.Polygon(Converters.ReadSequenceFloat64(ref reader), Converters.ReadBoolean(ref reader));
                }
                default:
                    throw Uniffi.NoSuchVariant("Shape", variant);
            }
        }
    }

    /// <summary>
    /// A record in a record.
    /// </summary>
    internal sealed record Pair(string Left, Shape Right);

    internal static class PairConverter
    {
        internal static void Write(UniffiWriter writer, Pair value)
        {
            Converters.WriteString(writer, value.Left);
            Converters.WriteTypeShape(writer, value.Right);
        }

        internal static Pair Read(ref UniffiReader reader)
        {
            return new Pair(Converters.ReadString(ref reader), Converters.ReadTypeShape(ref reader));
        }
    }

    /// <summary>
    /// A value of every type.
    /// </summary>
    internal sealed record Everything(sbyte I8, byte U8, short I16, ushort U16, int I32, uint U32, long I64, ulong U64, float F32, double F64, bool Bool, string Text, byte[] Bytes, string? Absent, uint? Present, List<string> Texts, Dictionary<string, long> Numbers, HashSet<string> Set, Colour Colour, Shape Shape, List<Pair?> Nested);

    internal static class EverythingConverter
    {
        internal static void Write(UniffiWriter writer, Everything value)
        {
            Converters.WriteInt8(writer, value.I8);
            Converters.WriteUInt8(writer, value.U8);
            Converters.WriteInt16(writer, value.I16);
            Converters.WriteUInt16(writer, value.U16);
            Converters.WriteInt32(writer, value.I32);
            Converters.WriteUInt32(writer, value.U32);
            Converters.WriteInt64(writer, value.I64);
            Converters.WriteUInt64(writer, value.U64);
            Converters.WriteFloat32(writer, value.F32);
            Converters.WriteFloat64(writer, value.F64);
            Converters.WriteBoolean(writer, value.Bool);
            Converters.WriteString(writer, value.Text);
            Converters.WriteBytes(writer, value.Bytes);
            Converters.WriteOptionalString(writer, value.Absent);
            Converters.WriteOptionalUInt32(writer, value.Present);
            Converters.WriteSequenceString(writer, value.Texts);
            Converters.WriteMapStringInt64(writer, value.Numbers);
            Converters.WriteSetString(writer, value.Set);
            Converters.WriteTypeColour(writer, value.Colour);
            Converters.WriteTypeShape(writer, value.Shape);
            Converters.WriteSequenceOptionalTypePair(writer, value.Nested);
        }

        internal static Everything Read(ref UniffiReader reader)
        {
            return new Everything(Converters.ReadInt8(ref reader), Converters.ReadUInt8(ref reader), Converters.ReadInt16(ref reader), Converters.ReadUInt16(ref reader), Converters.ReadInt32(ref reader), Converters.ReadUInt32(ref reader), Converters.ReadInt64(ref reader), Converters.ReadUInt64(ref reader), Converters.ReadFloat32(ref reader), Converters.ReadFloat64(ref reader), Converters.ReadBoolean(ref reader), Converters.ReadString(ref reader), Converters.ReadBytes(ref reader), Converters.ReadOptionalString(ref reader), Converters.ReadOptionalUInt32(ref reader), Converters.ReadSequenceString(ref reader), Converters.ReadMapStringInt64(ref reader), Converters.ReadSetString(ref reader), Converters.ReadTypeColour(ref reader), Converters.ReadTypeShape(ref reader), Converters.ReadSequenceOptionalTypePair(ref reader));
        }
    }

    /// <summary>
    /// An error of which only the text crosses.
    /// </summary>
    internal abstract class FlatException : Exception
    {
        private FlatException(string message) : base(message)
        {
        }

        /// <summary>
        /// The first.
        /// </summary>
        internal sealed class First : FlatException
        {
            internal First(string message) : base(message)
            {
            }
        }

        /// <summary>
        /// The second.
        /// </summary>
        internal sealed class Second : FlatException
        {
            internal Second(string message) : base(message)
            {
            }
        }

        internal static FlatException Read(ref UniffiReader reader)
        {
            var variant = reader.ReadInt32();
            var message = reader.ReadString();
            return variant switch
            {
                1 => new First(message),
                2 => new Second(message),
                _ => throw Uniffi.NoSuchVariant("FlatException", variant),
            };
        }
    }

    /// <summary>
    /// An error with data.
    /// </summary>
    internal abstract class TroubleException : Exception
    {
        private TroubleException(string message) : base(message)
        {
        }

        /// <summary>
        /// One kind.
        /// </summary>
        internal sealed class Small : TroubleException
        {
            internal Small(int @size) : base("Small")
            {
                Size = @size;
            }

            /// <summary>
            /// How small.
            /// </summary>
            internal int Size { get; }
        }

        /// <summary>
        /// Another kind.
        /// </summary>
        internal sealed class Large : TroubleException
        {
            internal Large(string @what) : base("Large")
            {
                What = @what;
            }

            /// <summary>
            /// How large.
            /// </summary>
            internal string What { get; }
        }

        internal static TroubleException Read(ref UniffiReader reader)
        {
            var variant = reader.ReadInt32();
            switch (variant)
            {
                case 1:
                {
                    return new Small(Converters.ReadInt32(ref reader));
                }
                case 2:
                {
                    return new Large(Converters.ReadString(ref reader));
                }
                default:
                    throw Uniffi.NoSuchVariant("TroubleException", variant);
            }
        }
    }

    /// <summary>
    /// An object.
    /// </summary>
    internal sealed unsafe class Counter : IDisposable
    {
        private readonly NativeHandle handle;

        internal Counter(ulong handle) => this.handle = new NativeHandle(handle,
            static (ulong value, ref RustCallStatus status) => Native.uniffi_perper_uniffi_fixture_fn_free_counter(value, ref status));

        /// <summary>Another handle to the same object, for the native library to consume.</summary>
        internal ulong CloneHandle()
        {
            using var held = handle.Hold();
            RustCallStatus status = default;
            var clone = Native.uniffi_perper_uniffi_fixture_fn_clone_counter(handle.Value, ref status);
            Uniffi.Check(ref status, null);
            return clone;
        }

        /// <summary>
        /// The usual way.
        /// </summary>
        internal static Counter Create(long @start)
        {
            Uniffi.EnsureChecked();
            var startLowered = @start;
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fixture_fn_constructor_counter_new(startLowered, ref status);
            Uniffi.Check(ref status, null);
            return new Counter(crossed);
        }

        /// <summary>
        /// Another way, that may fail.
        /// </summary>
        internal static Task<Counter> ParsedAsync(string @text, CancellationToken cancellationToken = default)
        {
            Uniffi.EnsureChecked();
            var textLowered = Uniffi.LowerString(@text);
            var future = Native.uniffi_perper_uniffi_fixture_fn_constructor_counter_parsed(textLowered);
            return new RustFutureU64<Counter>(future, static (ref UniffiReader reader) => Converters.ReadTypeTrouble(ref reader), static crossed => new Counter(crossed)).Start(cancellationToken);
        }

        /// <summary>
        /// Adds, and gives the sum.
        /// </summary>
        internal long Add(long @number)
        {
            using var held = handle.Hold();
            var numberLowered = @number;
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fixture_fn_method_counter_add(CloneHandle(), numberLowered, ref status);
            Uniffi.Check(ref status, null);
            return crossed;
        }

        /// <summary>
        /// The same, later.
        /// </summary>
        internal Task<long> AddLaterAsync(long @number, CancellationToken cancellationToken = default)
        {
            using var held = handle.Hold();
            var numberLowered = @number;
            var future = Native.uniffi_perper_uniffi_fixture_fn_method_counter_add_later(CloneHandle(), numberLowered);
            return new RustFutureI64<long>(future, null, static crossed => crossed).Start(cancellationToken);
        }

        /// <summary>
        /// The larger of two.
        /// </summary>
        internal Counter Larger(Counter @other)
        {
            using var held = handle.Hold();
            var otherLowered = @other.CloneHandle();
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fixture_fn_method_counter_larger(CloneHandle(), otherLowered, ref status);
            Uniffi.Check(ref status, null);
            return new Counter(crossed);
        }

        /// <summary>
        /// Never.
        /// </summary>
        internal Task NeverAsync(CancellationToken cancellationToken = default)
        {
            using var held = handle.Hold();
            var future = Native.uniffi_perper_uniffi_fixture_fn_method_counter_never(CloneHandle());
            return new RustFutureVoid<bool>(future, null, static () => true).Start(cancellationToken);
        }

        /// <summary>Frees the object; without it, the garbage collector does.</summary>
        public void Dispose() => handle.Dispose();
    }

    /// <summary>How values stand in the buffers that cross.</summary>
    internal static class Converters
    {
        internal static void WriteInt8(UniffiWriter writer, sbyte value) => writer.WriteSByte(value);

        internal static sbyte ReadInt8(ref UniffiReader reader) => reader.ReadSByte();

        internal static void WriteUInt8(UniffiWriter writer, byte value) => writer.WriteByte(value);

        internal static byte ReadUInt8(ref UniffiReader reader) => reader.ReadByte();

        internal static void WriteInt16(UniffiWriter writer, short value) => writer.WriteInt16(value);

        internal static short ReadInt16(ref UniffiReader reader) => reader.ReadInt16();

        internal static void WriteUInt16(UniffiWriter writer, ushort value) => writer.WriteUInt16(value);

        internal static ushort ReadUInt16(ref UniffiReader reader) => reader.ReadUInt16();

        internal static void WriteInt32(UniffiWriter writer, int value) => writer.WriteInt32(value);

        internal static int ReadInt32(ref UniffiReader reader) => reader.ReadInt32();

        internal static void WriteUInt32(UniffiWriter writer, uint value) => writer.WriteUInt32(value);

        internal static uint ReadUInt32(ref UniffiReader reader) => reader.ReadUInt32();

        internal static void WriteInt64(UniffiWriter writer, long value) => writer.WriteInt64(value);

        internal static long ReadInt64(ref UniffiReader reader) => reader.ReadInt64();

        internal static void WriteUInt64(UniffiWriter writer, ulong value) => writer.WriteUInt64(value);

        internal static ulong ReadUInt64(ref UniffiReader reader) => reader.ReadUInt64();

        internal static void WriteFloat32(UniffiWriter writer, float value) => writer.WriteSingle(value);

        internal static float ReadFloat32(ref UniffiReader reader) => reader.ReadSingle();

        internal static void WriteFloat64(UniffiWriter writer, double value) => writer.WriteDouble(value);

        internal static double ReadFloat64(ref UniffiReader reader) => reader.ReadDouble();

        internal static void WriteBoolean(UniffiWriter writer, bool value) => writer.WriteBoolean(value);

        internal static bool ReadBoolean(ref UniffiReader reader) => reader.ReadBoolean();

        internal static void WriteString(UniffiWriter writer, string value) => writer.WriteString(value);

        internal static string ReadString(ref UniffiReader reader) => reader.ReadString();

        internal static void WriteBytes(UniffiWriter writer, byte[] value) => writer.WriteBytes(value);

        internal static byte[] ReadBytes(ref UniffiReader reader) => reader.ReadBytes();

        internal static void WriteOptionalString(UniffiWriter writer, string? value)
        {
            if (value is not { } some)
            {
                writer.WriteByte(0);
                return;
            }
            writer.WriteByte(1);
            Converters.WriteString(writer, some);
        }

        internal static string? ReadOptionalString(ref UniffiReader reader)
        {
            return reader.ReadByte() == 0 ? null : Converters.ReadString(ref reader);
        }

        internal static void WriteOptionalUInt32(UniffiWriter writer, uint? value)
        {
            if (value is not { } some)
            {
                writer.WriteByte(0);
                return;
            }
            writer.WriteByte(1);
            Converters.WriteUInt32(writer, some);
        }

        internal static uint? ReadOptionalUInt32(ref UniffiReader reader)
        {
            return reader.ReadByte() == 0 ? null : Converters.ReadUInt32(ref reader);
        }

        internal static void WriteSequenceString(UniffiWriter writer, List<string> value)
        {
            writer.WriteInt32(value.Count);
            foreach (var element in value)
            {
                Converters.WriteString(writer, element);
            }
        }

        internal static List<string> ReadSequenceString(ref UniffiReader reader)
        {
            var count = reader.ReadInt32();
            var elements = new List<string>(count);
            for (var index = 0; index < count; index++)
            {
                elements.Add(Converters.ReadString(ref reader));
            }
            return elements;
        }

        internal static void WriteMapStringInt64(UniffiWriter writer, Dictionary<string, long> value)
        {
            writer.WriteInt32(value.Count);
            foreach (var entry in value)
            {
                Converters.WriteString(writer, entry.Key);
                Converters.WriteInt64(writer, entry.Value);
            }
        }

        internal static Dictionary<string, long> ReadMapStringInt64(ref UniffiReader reader)
        {
            var count = reader.ReadInt32();
            var entries = new Dictionary<string, long>(count);
            for (var index = 0; index < count; index++)
            {
                var key = Converters.ReadString(ref reader);
                entries.Add(key, Converters.ReadInt64(ref reader));
            }
            return entries;
        }

        internal static void WriteSetString(UniffiWriter writer, HashSet<string> value)
        {
            writer.WriteInt32(value.Count);
            foreach (var element in value)
            {
                Converters.WriteString(writer, element);
            }
        }

        internal static HashSet<string> ReadSetString(ref UniffiReader reader)
        {
            var count = reader.ReadInt32();
            var elements = new HashSet<string>(count);
            for (var index = 0; index < count; index++)
            {
                elements.Add(Converters.ReadString(ref reader));
            }
            return elements;
        }

        internal static void WriteTypeColour(UniffiWriter writer, Colour value) => ColourConverter.Write(writer, value);

        internal static Colour ReadTypeColour(ref UniffiReader reader) => ColourConverter.Read(ref reader);

        internal static void WriteSequenceFloat64(UniffiWriter writer, List<double> value)
        {
            writer.WriteInt32(value.Count);
            foreach (var element in value)
            {
                Converters.WriteFloat64(writer, element);
            }
        }

        internal static List<double> ReadSequenceFloat64(ref UniffiReader reader)
        {
            var count = reader.ReadInt32();
            var elements = new List<double>(count);
            for (var index = 0; index < count; index++)
            {
                elements.Add(Converters.ReadFloat64(ref reader));
            }
            return elements;
        }

        internal static void WriteTypeShape(UniffiWriter writer, Shape value) => ShapeConverter.Write(writer, value);

        internal static Shape ReadTypeShape(ref UniffiReader reader) => ShapeConverter.Read(ref reader);

        internal static void WriteTypePair(UniffiWriter writer, Pair value) => PairConverter.Write(writer, value);

        internal static Pair ReadTypePair(ref UniffiReader reader) => PairConverter.Read(ref reader);

        internal static void WriteOptionalTypePair(UniffiWriter writer, Pair? value)
        {
            if (value is not { } some)
            {
                writer.WriteByte(0);
                return;
            }
            writer.WriteByte(1);
            Converters.WriteTypePair(writer, some);
        }

        internal static Pair? ReadOptionalTypePair(ref UniffiReader reader)
        {
            return reader.ReadByte() == 0 ? null : Converters.ReadTypePair(ref reader);
        }

        internal static void WriteSequenceOptionalTypePair(UniffiWriter writer, List<Pair?> value)
        {
            writer.WriteInt32(value.Count);
            foreach (var element in value)
            {
                Converters.WriteOptionalTypePair(writer, element);
            }
        }

        internal static List<Pair?> ReadSequenceOptionalTypePair(ref UniffiReader reader)
        {
            var count = reader.ReadInt32();
            var elements = new List<Pair?>(count);
            for (var index = 0; index < count; index++)
            {
                elements.Add(Converters.ReadOptionalTypePair(ref reader));
            }
            return elements;
        }

        internal static void WriteTypeEverything(UniffiWriter writer, Everything value) => EverythingConverter.Write(writer, value);

        internal static Everything ReadTypeEverything(ref UniffiReader reader) => EverythingConverter.Read(ref reader);

        internal static FlatException ReadTypeFlat(ref UniffiReader reader) => FlatException.Read(ref reader);

        internal static TroubleException ReadTypeTrouble(ref UniffiReader reader) => TroubleException.Read(ref reader);

        internal static void WriteTypeCounter(UniffiWriter writer, Counter value)
        {
            writer.WriteUInt64(value.CloneHandle());
        }

        internal static Counter ReadTypeCounter(ref UniffiReader reader)
        {
            return new Counter(reader.ReadUInt64());
        }
    }
}
