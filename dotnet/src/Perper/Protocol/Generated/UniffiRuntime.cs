// Written by bindings/uniffi/csharp from the metadata of the native library; do not edit.
// `./dev dotnet generate` writes it again.

#nullable enable
using System;
using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Perper.Protocol.Generated
{
    /// <summary>A buffer that the native library allocated. Whoever holds it frees it, or passes it on.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct RustBuffer
    {
        internal ulong Capacity;
        internal ulong Length;
        internal byte* Data;
    }

    /// <summary>Bytes of ours, which the native library reads during a call and not longer.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal readonly unsafe struct ForeignBytes
    {
        private readonly int length;
        private readonly byte* data;

        internal ForeignBytes(byte* data, int length)
        {
            this.length = length;
            this.data = data;
        }
    }

    /// <summary>What became of a call.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct RustCallStatus
    {
        internal sbyte Code;
        internal RustBuffer Error;
    }

    /// <summary>Makes an exception of the error that a call has returned.</summary>
    internal delegate Exception UniffiLiftError(ref UniffiReader reader);

    /// <summary>A fault in the native library, or in how it was called: nothing that a program can expect.</summary>
    internal sealed class UniffiPanicException : Exception
    {
        internal UniffiPanicException(string message) : base(message)
        {
        }
    }

    /// <summary>Buffers, statuses and checks that every export needs.</summary>
    internal static unsafe class Uniffi
    {
        internal const string Library = "perper_uniffi";

        internal delegate T Read<T>(ref UniffiReader reader);

        private static volatile bool isChecked;

        /// <summary>Checks once that the native library is the one that these classes were written for.</summary>
        internal static void EnsureChecked()
        {
            if (!isChecked)
            {
                Native.Check();
                isChecked = true;
            }
        }

        internal static void CheckContract(uint expected, uint found)
        {
            if (expected != found)
            {
                throw new InvalidOperationException($"The native library {Library} follows version {found} of uniffi's contract, this assembly version {expected}; use files of the same package.");
            }
        }

        internal static void CheckSum(string name, ushort expected, ushort found)
        {
            if (expected != found)
            {
                throw new InvalidOperationException($"The native library {Library} is of another version than this assembly ({name} is {found}, not {expected}); use files of the same package.");
            }
        }

        internal static Exception NoSuchVariant(string type, int variant) =>
            new InvalidOperationException($"The native library returned variant {variant} of {type}, which this assembly does not know.");

        internal static RustBuffer FromBytes(ReadOnlySpan<byte> bytes)
        {
            RustCallStatus status = default;
            fixed (byte* start = bytes)
            {
                var buffer = Native.ffi_perper_uniffi_rustbuffer_from_bytes(new ForeignBytes(start, bytes.Length), ref status);
                Check(ref status, null);
                return buffer;
            }
        }

        internal static void Free(RustBuffer buffer)
        {
            RustCallStatus status = default;
            Native.ffi_perper_uniffi_rustbuffer_free(buffer, ref status);
        }

        internal static RustBuffer LowerString(string value) => FromBytes(Encoding.UTF8.GetBytes(value));

        internal static string LiftString(RustBuffer buffer)
        {
            try
            {
                return Encoding.UTF8.GetString(buffer.Data, checked((int)buffer.Length));
            }
            finally
            {
                Free(buffer);
            }
        }

        internal static RustBuffer Lower<T>(T value, Action<UniffiWriter, T> write)
        {
            var writer = new UniffiWriter();
            write(writer, value);
            return FromBytes(writer.Written);
        }

        internal static T Lift<T>(RustBuffer buffer, Read<T> read)
        {
            try
            {
                var reader = new UniffiReader(new ReadOnlySpan<byte>(buffer.Data, checked((int)buffer.Length)));
                return read(ref reader);
            }
            finally
            {
                Free(buffer);
            }
        }

        /// <summary>Throws what the status says.</summary>
        internal static void Check(ref RustCallStatus status, UniffiLiftError? error)
        {
            switch (status.Code)
            {
                case 0:
                    return;
                case 1 when error != null:
                    throw Lift(status.Error, (ref UniffiReader reader) => error(ref reader));
                case 3:
                    throw new OperationCanceledException();
                default:
                    throw new UniffiPanicException(status.Error.Data == null ? "The native library failed without a word." : LiftString(status.Error));
            }
        }
    }

    /// <summary>Reads what stands in a buffer: big-endian, without padding.</summary>
    internal ref struct UniffiReader
    {
        private ReadOnlySpan<byte> rest;

        internal UniffiReader(ReadOnlySpan<byte> bytes) => rest = bytes;

        private ReadOnlySpan<byte> Take(int count)
        {
            var taken = rest.Slice(0, count);
            rest = rest.Slice(count);
            return taken;
        }

        internal byte ReadByte() => Take(1)[0];

        internal sbyte ReadSByte() => (sbyte)ReadByte();

        internal bool ReadBoolean() => ReadByte() != 0;

        internal ushort ReadUInt16() => BinaryPrimitives.ReadUInt16BigEndian(Take(2));

        internal short ReadInt16() => BinaryPrimitives.ReadInt16BigEndian(Take(2));

        internal uint ReadUInt32() => BinaryPrimitives.ReadUInt32BigEndian(Take(4));

        internal int ReadInt32() => BinaryPrimitives.ReadInt32BigEndian(Take(4));

        internal ulong ReadUInt64() => BinaryPrimitives.ReadUInt64BigEndian(Take(8));

        internal long ReadInt64() => BinaryPrimitives.ReadInt64BigEndian(Take(8));

        internal float ReadSingle() => BinaryPrimitives.ReadSingleBigEndian(Take(4));

        internal double ReadDouble() => BinaryPrimitives.ReadDoubleBigEndian(Take(8));

        internal byte[] ReadBytes() => Take(ReadInt32()).ToArray();

        internal string ReadString() => Encoding.UTF8.GetString(Take(ReadInt32()));
    }

    /// <summary>Writes what the native library will read.</summary>
    internal sealed class UniffiWriter
    {
        private byte[] buffer = new byte[256];
        private int length;

        internal ReadOnlySpan<byte> Written => buffer.AsSpan(0, length);

        private Span<byte> Take(int count)
        {
            if (buffer.Length - length < count)
            {
                Array.Resize(ref buffer, checked(Math.Max(buffer.Length * 2, length + count)));
            }

            length += count;
            return buffer.AsSpan(length - count, count);
        }

        internal void WriteByte(byte value) => Take(1)[0] = value;

        internal void WriteSByte(sbyte value) => WriteByte((byte)value);

        internal void WriteBoolean(bool value) => WriteByte(value ? (byte)1 : (byte)0);

        internal void WriteUInt16(ushort value) => BinaryPrimitives.WriteUInt16BigEndian(Take(2), value);

        internal void WriteInt16(short value) => BinaryPrimitives.WriteInt16BigEndian(Take(2), value);

        internal void WriteUInt32(uint value) => BinaryPrimitives.WriteUInt32BigEndian(Take(4), value);

        internal void WriteInt32(int value) => BinaryPrimitives.WriteInt32BigEndian(Take(4), value);

        internal void WriteUInt64(ulong value) => BinaryPrimitives.WriteUInt64BigEndian(Take(8), value);

        internal void WriteInt64(long value) => BinaryPrimitives.WriteInt64BigEndian(Take(8), value);

        internal void WriteSingle(float value) => BinaryPrimitives.WriteSingleBigEndian(Take(4), value);

        internal void WriteDouble(double value) => BinaryPrimitives.WriteDoubleBigEndian(Take(8), value);

        internal void WriteBytes(byte[] value)
        {
            WriteInt32(value.Length);
            value.CopyTo(Take(value.Length));
        }

        internal void WriteString(string value)
        {
            var count = Encoding.UTF8.GetByteCount(value);
            WriteInt32(count);
            Encoding.UTF8.GetBytes(value, Take(count));
        }
    }

    /// <summary>The handle of an object in the native library; freed once, by whoever comes first.</summary>
    internal sealed class NativeHandle : SafeHandle
    {
        private static int live;

        private readonly Freeing free;

        internal delegate void Freeing(ulong handle, ref RustCallStatus status);

        internal NativeHandle(ulong value, Freeing free) : base(IntPtr.Zero, true)
        {
            this.free = free;
            SetHandle(unchecked((IntPtr)(long)value));
            Interlocked.Increment(ref live);
        }

        /// <summary>How many handles there are in this process, for tests that look for leaks.</summary>
        internal static int Live => Volatile.Read(ref live);

        public override bool IsInvalid => handle == IntPtr.Zero;

        internal ulong Value => unchecked((ulong)(long)handle);

        /// <summary>Keeps the object alive until the result is disposed.</summary>
        internal Held Hold() => new Held(this);

        protected override bool ReleaseHandle()
        {
            RustCallStatus status = default;
            free(Value, ref status);
            Interlocked.Decrement(ref live);
            return status.Code == 0;
        }

        internal readonly ref struct Held
        {
            private readonly NativeHandle handle;

            internal Held(NativeHandle handle)
            {
                this.handle = handle;
                var added = false;
                // Throws ObjectDisposedException where it is too late.
                handle.DangerousAddRef(ref added);
            }

            public void Dispose() => handle.DangerousRelease();
        }
    }

    /// <summary>
    /// A future of the native library as a task. It is polled until it is ready, then completed and freed. The callback
    /// that asks for the next poll may come on any thread, even within the poll, and must not block: so it only leaves a
    /// note, and the polling goes on in the thread pool.
    /// </summary>
    internal abstract unsafe class RustFuture<T> : RustFuture
    {
        private readonly TaskCompletionSource<T> source = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly object freeing = new();
        private CancellationToken cancellation;
        private CancellationTokenRegistration registration;
        private GCHandle self;
        private bool isFreed;

        protected RustFuture(ulong future, UniffiLiftError? error)
        {
            Future = future;
            Error = error;
        }

        protected ulong Future { get; }

        protected UniffiLiftError? Error { get; }

        protected abstract void Poll(ulong data);

        protected abstract void CancelFuture();

        protected abstract void FreeFuture();

        protected abstract T Complete();

        internal Task<T> Start(CancellationToken cancellationToken)
        {
            self = GCHandle.Alloc(this);
            cancellation = cancellationToken;
            if (cancellationToken.CanBeCanceled)
            {
                registration = cancellationToken.UnsafeRegister(static future => ((RustFuture<T>)future!).Cancel(), this);
            }

            Run();
            return source.Task;
        }

        private void Cancel()
        {
            // Not after it is freed, and it is not freed meanwhile.
            lock (freeing)
            {
                if (!isFreed)
                {
                    CancelFuture();
                }
            }
        }

        private protected override void Run()
        {
            while (true)
            {
                BeginPoll();
                Poll(unchecked((ulong)(long)GCHandle.ToIntPtr(self)));
                switch (EndPoll())
                {
                    case Signal.None:
                        return;
                    case Signal.Ready:
                        Finish();
                        return;
                }
            }
        }

        private protected override void Finish()
        {
            try
            {
                source.TrySetResult(Complete());
            }
            catch (OperationCanceledException)
            {
                source.TrySetCanceled(cancellation);
            }
            catch (Exception error)
            {
                source.TrySetException(error);
            }
            finally
            {
                lock (freeing)
                {
                    isFreed = true;
                    FreeFuture();
                }

                registration.Unregister();
                self.Free();
            }
        }
    }

    /// <summary>What a future is apart from its type: who polls it.</summary>
    internal abstract unsafe class RustFuture : IThreadPoolWorkItem
    {
        /// <summary>For <c>poll</c>: the one callback of all futures.</summary>
        protected static readonly delegate* unmanaged[Cdecl]<ulong, sbyte, void> Callback = &OnSignal;

        private const int Polling = 0, Parked = 1, Signalled = 2;

        private int phase;
        private volatile Signal signal;

        private protected enum Signal
        {
            None,
            Ready,
            Wake,
        }

        void IThreadPoolWorkItem.Execute()
        {
            if (signal == Signal.Ready)
            {
                Finish();
            }
            else
            {
                Run();
            }
        }

        private protected abstract void Run();

        private protected abstract void Finish();

        private protected void BeginPoll()
        {
            signal = Signal.None;
            Volatile.Write(ref phase, Polling);
        }

        /// <summary>What the callback said during the poll; nothing if it will come later, from another thread.</summary>
        private protected Signal EndPoll() =>
            Interlocked.CompareExchange(ref phase, Parked, Polling) == Signalled ? signal : Signal.None;

        [UnmanagedCallersOnly(CallConvs = new[] { typeof(CallConvCdecl) })]
        private static void OnSignal(ulong data, sbyte code)
        {
            var future = (RustFuture)GCHandle.FromIntPtr(unchecked((IntPtr)(long)data)).Target!;
            future.signal = code == 0 ? Signal.Ready : Signal.Wake;
            if (Interlocked.CompareExchange(ref future.phase, Signalled, Polling) == Parked)
            {
                ThreadPool.UnsafeQueueUserWorkItem(future, preferLocal: false);
            }
        }
    }
}
