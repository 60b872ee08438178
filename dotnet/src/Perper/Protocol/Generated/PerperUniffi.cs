// Written by bindings/uniffi/csharp from the metadata of the native library; do not edit.
// `./dev dotnet generate` writes it again.

#nullable enable
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace Perper.Protocol.Generated
{
    /// <summary>The functions of the native library, as they are.</summary>
    internal static unsafe class Native
    {
        /// <summary>Checks once that the library is the one that this file was written for.</summary>
        internal static void Check()
        {
            Uniffi.CheckContract(30, ffi_perper_uniffi_uniffi_contract_version());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_func_canonicalise", 22667, uniffi_perper_uniffi_checksum_func_canonicalise());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_func_connect", 52141, uniffi_perper_uniffi_checksum_func_connect());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_func_encode_key", 47690, uniffi_perper_uniffi_checksum_func_encode_key());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_func_validate", 50358, uniffi_perper_uniffi_checksum_func_validate());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_method_connection_close", 23955, uniffi_perper_uniffi_checksum_method_connection_close());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_method_connection_endpoint", 24478, uniffi_perper_uniffi_checksum_method_connection_endpoint());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_method_connection_open_port", 21005, uniffi_perper_uniffi_checksum_method_connection_open_port());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_method_connection_serve", 35158, uniffi_perper_uniffi_checksum_method_connection_serve());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_method_connection_server", 19130, uniffi_perper_uniffi_checksum_method_connection_server());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_method_embeddedfabric_endpoint", 37565, uniffi_perper_uniffi_checksum_method_embeddedfabric_endpoint());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_method_embeddedfabric_shutdown", 28526, uniffi_perper_uniffi_checksum_method_embeddedfabric_shutdown());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_constructor_embeddedfabric_durable", 48623, uniffi_perper_uniffi_checksum_constructor_embeddedfabric_durable());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_constructor_embeddedfabric_temporary", 35133, uniffi_perper_uniffi_checksum_constructor_embeddedfabric_temporary());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_method_logs_next", 38701, uniffi_perper_uniffi_checksum_method_logs_next());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_constructor_logs_capture", 59147, uniffi_perper_uniffi_checksum_constructor_logs_capture());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_method_port_drain", 2454, uniffi_perper_uniffi_checksum_method_port_drain());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_method_port_ready", 43217, uniffi_perper_uniffi_checksum_method_port_ready());
            Uniffi.CheckSum("uniffi_perper_uniffi_checksum_method_port_submit", 48796, uniffi_perper_uniffi_checksum_method_port_submit());
        }

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern RustBuffer ffi_perper_uniffi_rustbuffer_from_bytes(ForeignBytes @bytes, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_rustbuffer_free(RustBuffer @buf, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern uint ffi_perper_uniffi_uniffi_contract_version();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_func_canonicalise();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_func_connect();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_func_encode_key();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_func_validate();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_method_connection_close();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_method_connection_endpoint();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_method_connection_open_port();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_method_connection_serve();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_method_connection_server();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_method_embeddedfabric_endpoint();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_method_embeddedfabric_shutdown();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_constructor_embeddedfabric_durable();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_constructor_embeddedfabric_temporary();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_method_logs_next();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_constructor_logs_capture();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_method_port_drain();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_method_port_ready();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ushort uniffi_perper_uniffi_checksum_method_port_submit();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern RustBuffer uniffi_perper_uniffi_fn_func_canonicalise(ForeignBytes @value, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_func_connect(RustBuffer @settings);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern RustBuffer uniffi_perper_uniffi_fn_func_encode_key(ForeignBytes @value, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void uniffi_perper_uniffi_fn_func_validate(ForeignBytes @value, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_method_connection_close(ulong @uniffiSelf);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern RustBuffer uniffi_perper_uniffi_fn_method_connection_endpoint(ulong @uniffiSelf, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_method_connection_open_port(ulong @uniffiSelf, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_method_connection_serve(ulong @uniffiSelf, RustBuffer @settings, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern RustBuffer uniffi_perper_uniffi_fn_method_connection_server(ulong @uniffiSelf, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern RustBuffer uniffi_perper_uniffi_fn_method_embeddedfabric_endpoint(ulong @uniffiSelf, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_method_embeddedfabric_shutdown(ulong @uniffiSelf);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_constructor_embeddedfabric_durable(RustBuffer @folder);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_constructor_embeddedfabric_temporary();

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_method_logs_next(ulong @uniffiSelf);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_constructor_logs_capture(RustBuffer @level, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern RustBuffer uniffi_perper_uniffi_fn_method_port_drain(ulong @uniffiSelf, ulong @maxBytes, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_method_port_ready(ulong @uniffiSelf);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void uniffi_perper_uniffi_fn_method_port_submit(ulong @uniffiSelf, ForeignBytes @batch, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_clone_connection(ulong @ptr, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void uniffi_perper_uniffi_fn_free_connection(ulong @ptr, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_clone_embeddedfabric(ulong @ptr, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void uniffi_perper_uniffi_fn_free_embeddedfabric(ulong @ptr, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_clone_logs(ulong @ptr, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void uniffi_perper_uniffi_fn_free_logs(ulong @ptr, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong uniffi_perper_uniffi_fn_clone_port(ulong @ptr, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void uniffi_perper_uniffi_fn_free_port(ulong @ptr, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_rust_future_poll_u64(ulong @handle, delegate* unmanaged[Cdecl]<ulong, sbyte, void> @callback, ulong @callbackData);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_rust_future_cancel_u64(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern ulong ffi_perper_uniffi_rust_future_complete_u64(ulong @handle, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_rust_future_free_u64(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_rust_future_poll_rust_buffer(ulong @handle, delegate* unmanaged[Cdecl]<ulong, sbyte, void> @callback, ulong @callbackData);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_rust_future_cancel_rust_buffer(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern RustBuffer ffi_perper_uniffi_rust_future_complete_rust_buffer(ulong @handle, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_rust_future_free_rust_buffer(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_rust_future_poll_void(ulong @handle, delegate* unmanaged[Cdecl]<ulong, sbyte, void> @callback, ulong @callbackData);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_rust_future_cancel_void(ulong @handle);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_rust_future_complete_void(ulong @handle, ref RustCallStatus status);

        [DllImport(Uniffi.Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        internal static extern void ffi_perper_uniffi_rust_future_free_void(ulong @handle);
    }

    /// <summary>A future of the native library that gives RustBuffer.</summary>
    internal sealed unsafe class RustFutureRustBuffer<T> : RustFuture<T>
    {
        private readonly Func<RustBuffer, T> lift;

        internal RustFutureRustBuffer(ulong future, UniffiLiftError? error, Func<RustBuffer, T> lift)
            : base(future, error) => this.lift = lift;

        protected override void Poll(ulong data) => Native.ffi_perper_uniffi_rust_future_poll_rust_buffer(Future, Callback, data);

        protected override void CancelFuture() => Native.ffi_perper_uniffi_rust_future_cancel_rust_buffer(Future);

        protected override void FreeFuture() => Native.ffi_perper_uniffi_rust_future_free_rust_buffer(Future);

        protected override T Complete()
        {
            RustCallStatus status = default;
            var crossed = Native.ffi_perper_uniffi_rust_future_complete_rust_buffer(Future, ref status);
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

        protected override void Poll(ulong data) => Native.ffi_perper_uniffi_rust_future_poll_u64(Future, Callback, data);

        protected override void CancelFuture() => Native.ffi_perper_uniffi_rust_future_cancel_u64(Future);

        protected override void FreeFuture() => Native.ffi_perper_uniffi_rust_future_free_u64(Future);

        protected override T Complete()
        {
            RustCallStatus status = default;
            var crossed = Native.ffi_perper_uniffi_rust_future_complete_u64(Future, ref status);
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

        protected override void Poll(ulong data) => Native.ffi_perper_uniffi_rust_future_poll_void(Future, Callback, data);

        protected override void CancelFuture() => Native.ffi_perper_uniffi_rust_future_cancel_void(Future);

        protected override void FreeFuture() => Native.ffi_perper_uniffi_rust_future_free_void(Future);

        protected override T Complete()
        {
            RustCallStatus status = default;
            Native.ffi_perper_uniffi_rust_future_complete_void(Future, ref status);
            Uniffi.Check(ref status, Error);
            return lift();
        }
    }

    /// <summary>The functions that belong to no object.</summary>
    internal static unsafe class PerperUniffiFunctions
    {
        /// <summary>
        /// The canonical form: two values are equal if the bytes of theirs are.
        /// </summary>
        internal static byte[] Canonicalise(ReadOnlySpan<byte> @value)
        {
            Uniffi.EnsureChecked();
            fixed (byte* valueStart = @value)
            {
                RustCallStatus status = default;
                var crossed = Native.uniffi_perper_uniffi_fn_func_canonicalise(new ForeignBytes(valueStart, @value.Length), ref status);
                Uniffi.Check(ref status, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader));
                return Uniffi.Lift(crossed, Converters.ReadBytes);
            }
        }

        /// <summary>
        /// Connects, waiting for a Fabric that is not there yet.
        /// </summary>
        internal static Task<Connection> ConnectAsync(ConnectSettings @settings, CancellationToken cancellationToken = default)
        {
            Uniffi.EnsureChecked();
            var settingsLowered = Uniffi.Lower(@settings, Converters.WriteTypeConnectSettings);
            var future = Native.uniffi_perper_uniffi_fn_func_connect(settingsLowered);
            return new RustFutureU64<Connection>(future, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader), static crossed => new Connection(crossed)).Start(cancellationToken);
        }

        /// <summary>
        /// The key that a value makes in a dictionary: bytes in the order of the values.
        /// </summary>
        internal static byte[] EncodeKey(ReadOnlySpan<byte> @value)
        {
            Uniffi.EnsureChecked();
            fixed (byte* valueStart = @value)
            {
                RustCallStatus status = default;
                var crossed = Native.uniffi_perper_uniffi_fn_func_encode_key(new ForeignBytes(valueStart, @value.Length), ref status);
                Uniffi.Check(ref status, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader));
                return Uniffi.Lift(crossed, Converters.ReadBytes);
            }
        }

        /// <summary>
        /// Checks that the bytes are one value that any library reads. The error names the reason and the path.
        /// </summary>
        internal static void Validate(ReadOnlySpan<byte> @value)
        {
            Uniffi.EnsureChecked();
            fixed (byte* valueStart = @value)
            {
                RustCallStatus status = default;
                Native.uniffi_perper_uniffi_fn_func_validate(new ForeignBytes(valueStart, @value.Length), ref status);
                Uniffi.Check(ref status, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader));
            }
        }
    }

    /// <summary>
    /// How to reach a Fabric. What is `None` comes from the environment, then from the defaults.
    /// </summary>
    internal sealed record ConnectSettings(string? Endpoint, string? Token, string? CaFile, string? CertificateFile, string? KeyFile, ulong ConnectTimeoutMs, string Library, string Language, string Version);

    internal static class ConnectSettingsConverter
    {
        internal static void Write(UniffiWriter writer, ConnectSettings value)
        {
            Converters.WriteOptionalString(writer, value.Endpoint);
            Converters.WriteOptionalString(writer, value.Token);
            Converters.WriteOptionalString(writer, value.CaFile);
            Converters.WriteOptionalString(writer, value.CertificateFile);
            Converters.WriteOptionalString(writer, value.KeyFile);
            Converters.WriteUInt64(writer, value.ConnectTimeoutMs);
            Converters.WriteString(writer, value.Library);
            Converters.WriteString(writer, value.Language);
            Converters.WriteString(writer, value.Version);
        }

        internal static ConnectSettings Read(ref UniffiReader reader)
        {
            return new ConnectSettings(Converters.ReadOptionalString(ref reader), Converters.ReadOptionalString(ref reader), Converters.ReadOptionalString(ref reader), Converters.ReadOptionalString(ref reader), Converters.ReadOptionalString(ref reader), Converters.ReadUInt64(ref reader), Converters.ReadString(ref reader), Converters.ReadString(ref reader), Converters.ReadString(ref reader));
        }
    }

    /// <summary>
    /// An error that a handler raised, in whatever language it was written.
    /// </summary>
    internal sealed record FailureDetails(string TypeName, string Message, string StackTrace);

    internal static class FailureDetailsConverter
    {
        internal static void Write(UniffiWriter writer, FailureDetails value)
        {
            Converters.WriteString(writer, value.TypeName);
            Converters.WriteString(writer, value.Message);
            Converters.WriteString(writer, value.StackTrace);
        }

        internal static FailureDetails Read(ref UniffiReader reader)
        {
            return new FailureDetails(Converters.ReadString(ref reader), Converters.ReadString(ref reader), Converters.ReadString(ref reader));
        }
    }

    /// <summary>
    /// What becomes of the items that a generator yields again, after its former worker was lost.
    /// </summary>
    internal enum Resume
    {
        /// <summary>
        /// They are written again.
        /// </summary>
        Again = 1,
        /// <summary>
        /// As many are skipped as the stream has already.
        /// </summary>
        Skip = 2,
    }

    internal static class ResumeConverter
    {
        internal static void Write(UniffiWriter writer, Resume value) => writer.WriteInt32((int)value);

        internal static Resume Read(ref UniffiReader reader)
        {
            var variant = reader.ReadInt32();
            return variant is >= 1 and <= 2 ? (Resume)variant : throw Uniffi.NoSuchVariant("Resume", variant);
        }
    }

    /// <summary>
    /// How the streams of a generator are made when a plain call reaches it, and how it is taken up again.
    /// </summary>
    internal sealed record GeneratorSettings(bool Persistent, bool Action, ulong Stride, long FirstKey, ulong BacklogItems, List<string> IndexedMembers, Resume Resume);

    internal static class GeneratorSettingsConverter
    {
        internal static void Write(UniffiWriter writer, GeneratorSettings value)
        {
            Converters.WriteBoolean(writer, value.Persistent);
            Converters.WriteBoolean(writer, value.Action);
            Converters.WriteUInt64(writer, value.Stride);
            Converters.WriteInt64(writer, value.FirstKey);
            Converters.WriteUInt64(writer, value.BacklogItems);
            Converters.WriteSequenceString(writer, value.IndexedMembers);
            Converters.WriteTypeResume(writer, value.Resume);
        }

        internal static GeneratorSettings Read(ref UniffiReader reader)
        {
            return new GeneratorSettings(Converters.ReadBoolean(ref reader), Converters.ReadBoolean(ref reader), Converters.ReadUInt64(ref reader), Converters.ReadInt64(ref reader), Converters.ReadUInt64(ref reader), Converters.ReadSequenceString(ref reader), Converters.ReadTypeResume(ref reader));
        }
    }

    /// <summary>
    /// How much a record matters.
    /// </summary>
    internal enum LogLevel
    {
        /// <summary>
        /// Something failed.
        /// </summary>
        Error = 1,
        /// <summary>
        /// Something that may become a failure.
        /// </summary>
        Warn = 2,
        /// <summary>
        /// What an operator wants to know.
        /// </summary>
        Info = 3,
        /// <summary>
        /// What a developer may want to know.
        /// </summary>
        Debug = 4,
    }

    internal static class LogLevelConverter
    {
        internal static void Write(UniffiWriter writer, LogLevel value) => writer.WriteInt32((int)value);

        internal static LogLevel Read(ref UniffiReader reader)
        {
            var variant = reader.ReadInt32();
            return variant is >= 1 and <= 4 ? (LogLevel)variant : throw Uniffi.NoSuchVariant("LogLevel", variant);
        }
    }

    /// <summary>
    /// One thing that the core has to say.
    /// </summary>
    internal sealed record LogRecord(LogLevel Level, string Target, string Message);

    internal static class LogRecordConverter
    {
        internal static void Write(UniffiWriter writer, LogRecord value)
        {
            Converters.WriteTypeLogLevel(writer, value.Level);
            Converters.WriteString(writer, value.Target);
            Converters.WriteString(writer, value.Message);
        }

        internal static LogRecord Read(ref UniffiReader reader)
        {
            return new LogRecord(Converters.ReadTypeLogLevel(ref reader), Converters.ReadString(ref reader), Converters.ReadString(ref reader));
        }
    }

    /// <summary>
    /// What an agent process serves.
    /// </summary>
    internal sealed record ServeSettings(string Agent, string? Instance, List<string> Delegates, Dictionary<string, GeneratorSettings> Streams, bool AnyDelegate, bool Deploy, bool Upgrade, bool Enter, ulong? Concurrency, ulong Bytes, string WorkGroup);

    internal static class ServeSettingsConverter
    {
        internal static void Write(UniffiWriter writer, ServeSettings value)
        {
            Converters.WriteString(writer, value.Agent);
            Converters.WriteOptionalString(writer, value.Instance);
            Converters.WriteSequenceString(writer, value.Delegates);
            Converters.WriteMapStringTypeGeneratorSettings(writer, value.Streams);
            Converters.WriteBoolean(writer, value.AnyDelegate);
            Converters.WriteBoolean(writer, value.Deploy);
            Converters.WriteBoolean(writer, value.Upgrade);
            Converters.WriteBoolean(writer, value.Enter);
            Converters.WriteOptionalUInt64(writer, value.Concurrency);
            Converters.WriteUInt64(writer, value.Bytes);
            Converters.WriteString(writer, value.WorkGroup);
        }

        internal static ServeSettings Read(ref UniffiReader reader)
        {
            return new ServeSettings(Converters.ReadString(ref reader), Converters.ReadOptionalString(ref reader), Converters.ReadSequenceString(ref reader), Converters.ReadMapStringTypeGeneratorSettings(ref reader), Converters.ReadBoolean(ref reader), Converters.ReadBoolean(ref reader), Converters.ReadBoolean(ref reader), Converters.ReadBoolean(ref reader), Converters.ReadOptionalUInt64(ref reader), Converters.ReadUInt64(ref reader), Converters.ReadString(ref reader));
        }
    }

    /// <summary>
    /// What the Fabric told about itself.
    /// </summary>
    internal sealed record ServerInfo(string Version, string ClusterId, List<string> Features, ulong ValueBytes);

    internal static class ServerInfoConverter
    {
        internal static void Write(UniffiWriter writer, ServerInfo value)
        {
            Converters.WriteString(writer, value.Version);
            Converters.WriteString(writer, value.ClusterId);
            Converters.WriteSequenceString(writer, value.Features);
            Converters.WriteUInt64(writer, value.ValueBytes);
        }

        internal static ServerInfo Read(ref UniffiReader reader)
        {
            return new ServerInfo(Converters.ReadString(ref reader), Converters.ReadString(ref reader), Converters.ReadSequenceString(ref reader), Converters.ReadUInt64(ref reader));
        }
    }

    /// <summary>
    /// Why something failed. One variant, since variants are told apart by position where they cross: a new kind of error is
    /// a new code, and an older language layer still reads it.
    /// </summary>
    internal abstract class NativeErrorException : Exception
    {
        private NativeErrorException(string message) : base(message)
        {
        }

        /// <summary>
        /// The only one.
        /// </summary>
        internal sealed class Failed : NativeErrorException
        {
            internal Failed(ushort @code, string @reason, string @text, Dictionary<string, string> @details, FailureDetails? @failure) : base("Failed")
            {
                Code = @code;
                Reason = @reason;
                Text = @text;
                Details = @details;
                Failure = @failure;
            }

            /// <summary>
            /// The stable number of the kind of error.
            /// </summary>
            internal ushort Code { get; }

            /// <summary>
            /// The stable name of the kind, as the protocol spells it.
            /// </summary>
            internal string Reason { get; }

            /// <summary>
            /// What was wrong, with which value, and what to do. (Languages have a `message` of their own on errors.)
            /// </summary>
            internal string Text { get; }

            /// <summary>
            /// The values that the text speaks of, by name.
            /// </summary>
            internal Dictionary<string, string> Details { get; }

            /// <summary>
            /// What a handler raised, if this is that.
            /// </summary>
            internal FailureDetails? Failure { get; }
        }

        internal static NativeErrorException Read(ref UniffiReader reader)
        {
            var variant = reader.ReadInt32();
            switch (variant)
            {
                case 1:
                {
                    return new Failed(Converters.ReadUInt16(ref reader), Converters.ReadString(ref reader), Converters.ReadString(ref reader), Converters.ReadMapStringString(ref reader), Converters.ReadOptionalTypeFailureDetails(ref reader));
                }
                default:
                    throw Uniffi.NoSuchVariant("NativeErrorException", variant);
            }
        }
    }

    /// <summary>
    /// One queue out, one queue in, both in packed batches.
    /// </summary>
    internal sealed unsafe class Port : IDisposable
    {
        private readonly NativeHandle handle;

        internal Port(ulong handle) => this.handle = new NativeHandle(handle,
            static (ulong value, ref RustCallStatus status) => Native.uniffi_perper_uniffi_fn_free_port(value, ref status));

        /// <summary>Another handle to the same object, for the native library to consume.</summary>
        internal ulong CloneHandle()
        {
            using var held = handle.Hold();
            RustCallStatus status = default;
            var clone = Native.uniffi_perper_uniffi_fn_clone_port(handle.Value, ref status);
            Uniffi.Check(ref status, null);
            return clone;
        }

        /// <summary>
        /// Takes what waits, at most that many bytes of it, but at least one record if there is any. Empty when nothing
        /// waits: then, and only then, wait for [`ready`](Port::ready).
        /// </summary>
        internal byte[] Drain(ulong @maxBytes)
        {
            using var held = handle.Hold();
            var maxBytesLowered = @maxBytes;
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fn_method_port_drain(CloneHandle(), maxBytesLowered, ref status);
            Uniffi.Check(ref status, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader));
            return Uniffi.Lift(crossed, Converters.ReadBytes);
        }

        /// <summary>
        /// Waits until there is something to drain. Nothing is taken here, so giving up loses nothing.
        /// </summary>
        internal Task ReadyAsync(CancellationToken cancellationToken = default)
        {
            using var held = handle.Hold();
            var future = Native.uniffi_perper_uniffi_fn_method_port_ready(CloneHandle());
            return new RustFutureVoid<bool>(future, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader), static () => true).Start(cancellationToken);
        }

        /// <summary>
        /// Hands over answers and requests. It fails only where the batch is malformed, which is a fault of the caller.
        /// </summary>
        internal void Submit(ReadOnlySpan<byte> @batch)
        {
            using var held = handle.Hold();
            fixed (byte* batchStart = @batch)
            {
                RustCallStatus status = default;
                Native.uniffi_perper_uniffi_fn_method_port_submit(CloneHandle(), new ForeignBytes(batchStart, @batch.Length), ref status);
                Uniffi.Check(ref status, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader));
            }
        }

        /// <summary>Frees the object; without it, the garbage collector does.</summary>
        public void Dispose() => handle.Dispose();
    }

    /// <summary>
    /// A connection to a Fabric. It makes ports, and outlives each of them.
    /// </summary>
    internal sealed unsafe class Connection : IDisposable
    {
        private readonly NativeHandle handle;

        internal Connection(ulong handle) => this.handle = new NativeHandle(handle,
            static (ulong value, ref RustCallStatus status) => Native.uniffi_perper_uniffi_fn_free_connection(value, ref status));

        /// <summary>Another handle to the same object, for the native library to consume.</summary>
        internal ulong CloneHandle()
        {
            using var held = handle.Hold();
            RustCallStatus status = default;
            var clone = Native.uniffi_perper_uniffi_fn_clone_connection(handle.Value, ref status);
            Uniffi.Check(ref status, null);
            return clone;
        }

        /// <summary>
        /// Ends the session: sends what is queued, gives back what is reserved, cancels calls in flight. Closing twice is
        /// harmless.
        /// </summary>
        internal Task CloseAsync(CancellationToken cancellationToken = default)
        {
            using var held = handle.Hold();
            var future = Native.uniffi_perper_uniffi_fn_method_connection_close(CloneHandle());
            return new RustFutureVoid<bool>(future, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader), static () => true).Start(cancellationToken);
        }

        /// <summary>
        /// Where the Fabric is.
        /// </summary>
        internal string Endpoint()
        {
            using var held = handle.Hold();
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fn_method_connection_endpoint(CloneHandle(), ref status);
            Uniffi.Check(ref status, null);
            return Uniffi.LiftString(crossed);
        }

        /// <summary>
        /// A port for a program that is no agent: requests and their completions only.
        /// </summary>
        internal Port OpenPort()
        {
            using var held = handle.Hold();
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fn_method_connection_open_port(CloneHandle(), ref status);
            Uniffi.Check(ref status, null);
            return new Port(crossed);
        }

        /// <summary>
        /// A port that serves an agent.
        /// </summary>
        internal Port Serve(ServeSettings @settings)
        {
            using var held = handle.Hold();
            var settingsLowered = Uniffi.Lower(@settings, Converters.WriteTypeServeSettings);
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fn_method_connection_serve(CloneHandle(), settingsLowered, ref status);
            Uniffi.Check(ref status, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader));
            return new Port(crossed);
        }

        /// <summary>
        /// What the Fabric told about itself when it was last connected to.
        /// </summary>
        internal ServerInfo? Server()
        {
            using var held = handle.Hold();
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fn_method_connection_server(CloneHandle(), ref status);
            Uniffi.Check(ref status, null);
            return Uniffi.Lift(crossed, Converters.ReadOptionalTypeServerInfo);
        }

        /// <summary>Frees the object; without it, the garbage collector does.</summary>
        public void Dispose() => handle.Dispose();
    }

    /// <summary>
    /// A Fabric in this process, on loopback and a free port: for tests, and for programs that need no server beside them.
    /// </summary>
    internal sealed unsafe class EmbeddedFabric : IDisposable
    {
        private readonly NativeHandle handle;

        internal EmbeddedFabric(ulong handle) => this.handle = new NativeHandle(handle,
            static (ulong value, ref RustCallStatus status) => Native.uniffi_perper_uniffi_fn_free_embeddedfabric(value, ref status));

        /// <summary>Another handle to the same object, for the native library to consume.</summary>
        internal ulong CloneHandle()
        {
            using var held = handle.Hold();
            RustCallStatus status = default;
            var clone = Native.uniffi_perper_uniffi_fn_clone_embeddedfabric(handle.Value, ref status);
            Uniffi.Check(ref status, null);
            return clone;
        }

        /// <summary>
        /// Starts one that keeps everything in a folder, and finds it there again.
        /// </summary>
        internal static Task<EmbeddedFabric> DurableAsync(string @folder, CancellationToken cancellationToken = default)
        {
            Uniffi.EnsureChecked();
            var folderLowered = Uniffi.LowerString(@folder);
            var future = Native.uniffi_perper_uniffi_fn_constructor_embeddedfabric_durable(folderLowered);
            return new RustFutureU64<EmbeddedFabric>(future, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader), static crossed => new EmbeddedFabric(crossed)).Start(cancellationToken);
        }

        /// <summary>
        /// Starts one that keeps everything in memory.
        /// </summary>
        internal static Task<EmbeddedFabric> TemporaryAsync(CancellationToken cancellationToken = default)
        {
            Uniffi.EnsureChecked();
            var future = Native.uniffi_perper_uniffi_fn_constructor_embeddedfabric_temporary();
            return new RustFutureU64<EmbeddedFabric>(future, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader), static crossed => new EmbeddedFabric(crossed)).Start(cancellationToken);
        }

        /// <summary>
        /// Where it is: `http://127.0.0.1:port`.
        /// </summary>
        internal string Endpoint()
        {
            using var held = handle.Hold();
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fn_method_embeddedfabric_endpoint(CloneHandle(), ref status);
            Uniffi.Check(ref status, null);
            return Uniffi.LiftString(crossed);
        }

        /// <summary>
        /// Ends it orderly. Ending it twice is harmless; forgetting to is as a crash.
        /// </summary>
        internal Task ShutdownAsync(CancellationToken cancellationToken = default)
        {
            using var held = handle.Hold();
            var future = Native.uniffi_perper_uniffi_fn_method_embeddedfabric_shutdown(CloneHandle());
            return new RustFutureVoid<bool>(future, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader), static () => true).Start(cancellationToken);
        }

        /// <summary>Frees the object; without it, the garbage collector does.</summary>
        public void Dispose() => handle.Dispose();
    }

    /// <summary>
    /// What the core has to say, for the language's own logging. The first to ask for it in a process gets it.
    /// </summary>
    internal sealed unsafe class Logs : IDisposable
    {
        private readonly NativeHandle handle;

        internal Logs(ulong handle) => this.handle = new NativeHandle(handle,
            static (ulong value, ref RustCallStatus status) => Native.uniffi_perper_uniffi_fn_free_logs(value, ref status));

        /// <summary>Another handle to the same object, for the native library to consume.</summary>
        internal ulong CloneHandle()
        {
            using var held = handle.Hold();
            RustCallStatus status = default;
            var clone = Native.uniffi_perper_uniffi_fn_clone_logs(handle.Value, ref status);
            Uniffi.Check(ref status, null);
            return clone;
        }

        /// <summary>
        /// From now on, everything of that level and above goes here. `None` where the process has a subscriber already.
        /// </summary>
        internal static Logs Capture(LogLevel @level)
        {
            Uniffi.EnsureChecked();
            var levelLowered = Uniffi.Lower(@level, Converters.WriteTypeLogLevel);
            RustCallStatus status = default;
            var crossed = Native.uniffi_perper_uniffi_fn_constructor_logs_capture(levelLowered, ref status);
            Uniffi.Check(ref status, null);
            return new Logs(crossed);
        }

        /// <summary>
        /// Waits for records and takes them. Giving up loses nothing.
        /// </summary>
        internal Task<List<LogRecord>> NextAsync(CancellationToken cancellationToken = default)
        {
            using var held = handle.Hold();
            var future = Native.uniffi_perper_uniffi_fn_method_logs_next(CloneHandle());
            return new RustFutureRustBuffer<List<LogRecord>>(future, static (ref UniffiReader reader) => Converters.ReadTypeNativeError(ref reader), static crossed => Uniffi.Lift(crossed, Converters.ReadSequenceTypeLogRecord)).Start(cancellationToken);
        }

        /// <summary>Frees the object; without it, the garbage collector does.</summary>
        public void Dispose() => handle.Dispose();
    }

    /// <summary>How values stand in the buffers that cross.</summary>
    internal static class Converters
    {
        internal static void WriteString(UniffiWriter writer, string value) => writer.WriteString(value);

        internal static string ReadString(ref UniffiReader reader) => reader.ReadString();

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

        internal static void WriteUInt64(UniffiWriter writer, ulong value) => writer.WriteUInt64(value);

        internal static ulong ReadUInt64(ref UniffiReader reader) => reader.ReadUInt64();

        internal static void WriteTypeConnectSettings(UniffiWriter writer, ConnectSettings value) => ConnectSettingsConverter.Write(writer, value);

        internal static ConnectSettings ReadTypeConnectSettings(ref UniffiReader reader) => ConnectSettingsConverter.Read(ref reader);

        internal static void WriteTypeFailureDetails(UniffiWriter writer, FailureDetails value) => FailureDetailsConverter.Write(writer, value);

        internal static FailureDetails ReadTypeFailureDetails(ref UniffiReader reader) => FailureDetailsConverter.Read(ref reader);

        internal static void WriteBoolean(UniffiWriter writer, bool value) => writer.WriteBoolean(value);

        internal static bool ReadBoolean(ref UniffiReader reader) => reader.ReadBoolean();

        internal static void WriteInt64(UniffiWriter writer, long value) => writer.WriteInt64(value);

        internal static long ReadInt64(ref UniffiReader reader) => reader.ReadInt64();

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

        internal static void WriteTypeResume(UniffiWriter writer, Resume value) => ResumeConverter.Write(writer, value);

        internal static Resume ReadTypeResume(ref UniffiReader reader) => ResumeConverter.Read(ref reader);

        internal static void WriteTypeGeneratorSettings(UniffiWriter writer, GeneratorSettings value) => GeneratorSettingsConverter.Write(writer, value);

        internal static GeneratorSettings ReadTypeGeneratorSettings(ref UniffiReader reader) => GeneratorSettingsConverter.Read(ref reader);

        internal static void WriteTypeLogLevel(UniffiWriter writer, LogLevel value) => LogLevelConverter.Write(writer, value);

        internal static LogLevel ReadTypeLogLevel(ref UniffiReader reader) => LogLevelConverter.Read(ref reader);

        internal static void WriteTypeLogRecord(UniffiWriter writer, LogRecord value) => LogRecordConverter.Write(writer, value);

        internal static LogRecord ReadTypeLogRecord(ref UniffiReader reader) => LogRecordConverter.Read(ref reader);

        internal static void WriteMapStringTypeGeneratorSettings(UniffiWriter writer, Dictionary<string, GeneratorSettings> value)
        {
            writer.WriteInt32(value.Count);
            foreach (var entry in value)
            {
                Converters.WriteString(writer, entry.Key);
                Converters.WriteTypeGeneratorSettings(writer, entry.Value);
            }
        }

        internal static Dictionary<string, GeneratorSettings> ReadMapStringTypeGeneratorSettings(ref UniffiReader reader)
        {
            var count = reader.ReadInt32();
            var entries = new Dictionary<string, GeneratorSettings>(count);
            for (var index = 0; index < count; index++)
            {
                var key = Converters.ReadString(ref reader);
                entries.Add(key, Converters.ReadTypeGeneratorSettings(ref reader));
            }
            return entries;
        }

        internal static void WriteOptionalUInt64(UniffiWriter writer, ulong? value)
        {
            if (value is not { } some)
            {
                writer.WriteByte(0);
                return;
            }
            writer.WriteByte(1);
            Converters.WriteUInt64(writer, some);
        }

        internal static ulong? ReadOptionalUInt64(ref UniffiReader reader)
        {
            return reader.ReadByte() == 0 ? null : Converters.ReadUInt64(ref reader);
        }

        internal static void WriteTypeServeSettings(UniffiWriter writer, ServeSettings value) => ServeSettingsConverter.Write(writer, value);

        internal static ServeSettings ReadTypeServeSettings(ref UniffiReader reader) => ServeSettingsConverter.Read(ref reader);

        internal static void WriteTypeServerInfo(UniffiWriter writer, ServerInfo value) => ServerInfoConverter.Write(writer, value);

        internal static ServerInfo ReadTypeServerInfo(ref UniffiReader reader) => ServerInfoConverter.Read(ref reader);

        internal static void WriteUInt16(UniffiWriter writer, ushort value) => writer.WriteUInt16(value);

        internal static ushort ReadUInt16(ref UniffiReader reader) => reader.ReadUInt16();

        internal static void WriteMapStringString(UniffiWriter writer, Dictionary<string, string> value)
        {
            writer.WriteInt32(value.Count);
            foreach (var entry in value)
            {
                Converters.WriteString(writer, entry.Key);
                Converters.WriteString(writer, entry.Value);
            }
        }

        internal static Dictionary<string, string> ReadMapStringString(ref UniffiReader reader)
        {
            var count = reader.ReadInt32();
            var entries = new Dictionary<string, string>(count);
            for (var index = 0; index < count; index++)
            {
                var key = Converters.ReadString(ref reader);
                entries.Add(key, Converters.ReadString(ref reader));
            }
            return entries;
        }

        internal static void WriteOptionalTypeFailureDetails(UniffiWriter writer, FailureDetails? value)
        {
            if (value is not { } some)
            {
                writer.WriteByte(0);
                return;
            }
            writer.WriteByte(1);
            Converters.WriteTypeFailureDetails(writer, some);
        }

        internal static FailureDetails? ReadOptionalTypeFailureDetails(ref UniffiReader reader)
        {
            return reader.ReadByte() == 0 ? null : Converters.ReadTypeFailureDetails(ref reader);
        }

        internal static NativeErrorException ReadTypeNativeError(ref UniffiReader reader) => NativeErrorException.Read(ref reader);

        internal static void WriteBytes(UniffiWriter writer, byte[] value) => writer.WriteBytes(value);

        internal static byte[] ReadBytes(ref UniffiReader reader) => reader.ReadBytes();

        internal static void WriteTypePort(UniffiWriter writer, Port value)
        {
            writer.WriteUInt64(value.CloneHandle());
        }

        internal static Port ReadTypePort(ref UniffiReader reader)
        {
            return new Port(reader.ReadUInt64());
        }

        internal static void WriteOptionalTypeServerInfo(UniffiWriter writer, ServerInfo? value)
        {
            if (value is not { } some)
            {
                writer.WriteByte(0);
                return;
            }
            writer.WriteByte(1);
            Converters.WriteTypeServerInfo(writer, some);
        }

        internal static ServerInfo? ReadOptionalTypeServerInfo(ref UniffiReader reader)
        {
            return reader.ReadByte() == 0 ? null : Converters.ReadTypeServerInfo(ref reader);
        }

        internal static void WriteTypeConnection(UniffiWriter writer, Connection value)
        {
            writer.WriteUInt64(value.CloneHandle());
        }

        internal static Connection ReadTypeConnection(ref UniffiReader reader)
        {
            return new Connection(reader.ReadUInt64());
        }

        internal static void WriteTypeEmbeddedFabric(UniffiWriter writer, EmbeddedFabric value)
        {
            writer.WriteUInt64(value.CloneHandle());
        }

        internal static EmbeddedFabric ReadTypeEmbeddedFabric(ref UniffiReader reader)
        {
            return new EmbeddedFabric(reader.ReadUInt64());
        }

        internal static void WriteSequenceTypeLogRecord(UniffiWriter writer, List<LogRecord> value)
        {
            writer.WriteInt32(value.Count);
            foreach (var element in value)
            {
                Converters.WriteTypeLogRecord(writer, element);
            }
        }

        internal static List<LogRecord> ReadSequenceTypeLogRecord(ref UniffiReader reader)
        {
            var count = reader.ReadInt32();
            var elements = new List<LogRecord>(count);
            for (var index = 0; index < count; index++)
            {
                elements.Add(Converters.ReadTypeLogRecord(ref reader));
            }
            return elements;
        }

        internal static void WriteTypeLogs(UniffiWriter writer, Logs value)
        {
            writer.WriteUInt64(value.CloneHandle());
        }

        internal static Logs ReadTypeLogs(ref UniffiReader reader)
        {
            return new Logs(reader.ReadUInt64());
        }
    }
}
