using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;

using Perper.Model;

namespace Perper.Protocol
{
    /// <summary>
    /// Writes one record of the packed format of ports (described in the core, beside its <c>Port</c>): little-endian,
    /// each record behind its length.
    /// </summary>
    internal sealed class RecordWriter
    {
        [ThreadStatic]
        private static RecordWriter? spare;

        private readonly ValueWriter values = new();

        private RecordWriter()
        {
        }

        /// <summary>Begins a record; to be given back by <see cref="Return"/>.</summary>
        internal static RecordWriter Rent(Operation operation, ulong request)
        {
            var writer = spare ?? new RecordWriter();
            // Encoding an argument may itself ask for a writer.
            spare = null;
            writer.values.Clear();
            writer.WriteU32(0);
            writer.WriteU8((byte)operation);
            writer.WriteU64(request);
            return writer;
        }

        internal void Return() => spare = this;

        /// <summary>The record with its length in front.</summary>
        internal ReadOnlySpan<byte> Finish()
        {
            BinaryPrimitives.WriteUInt32LittleEndian(values.At(0, 4), (uint)(values.Length - 4));
            return values.Written;
        }

        internal void WriteU8(byte value) => values.Take(1)[0] = value;

        internal void WriteBool(bool value) => WriteU8(value ? (byte)1 : (byte)0);

        internal void WriteU32(uint value) => BinaryPrimitives.WriteUInt32LittleEndian(values.Take(4), value);

        internal void WriteCount(int count) => WriteU32((uint)count);

        internal void WriteU64(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(values.Take(8), value);

        internal void WriteI64(long value) => BinaryPrimitives.WriteInt64LittleEndian(values.Take(8), value);

        internal void WriteText(string? value)
        {
            value ??= "";
            var count = Encoding.UTF8.GetByteCount(value);
            WriteU32((uint)count);
            Encoding.UTF8.GetBytes(value, values.Take(count));
        }

        internal void WriteBytes(ReadOnlySpan<byte> value)
        {
            WriteU32((uint)value.Length);
            value.CopyTo(values.Take(value.Length));
        }

        /// <summary>Writes bytes whose length has been told already.</summary>
        internal void WriteRaw(ReadOnlySpan<byte> value) => value.CopyTo(values.Take(value.Length));

        /// <summary>Encodes a value in place, behind its length.</summary>
        internal void WriteValue<T>(T value)
        {
            var start = values.Length;
            WriteU32(0);
            Converters.Write(values, value);
            BinaryPrimitives.WriteUInt32LittleEndian(values.At(start, 4), (uint)(values.Length - start - 4));
        }

        internal void WriteArguments(object?[] arguments)
        {
            WriteCount(arguments.Length);
            for (var index = 0; index < arguments.Length; index++)
            {
                try
                {
                    WriteValue(arguments[index]);
                }
                catch (PerperValueException error)
                {
                    throw error.Within($"arguments[{index}]");
                }
            }
        }

        internal void WriteTexts(IReadOnlyCollection<string> texts)
        {
            WriteCount(texts.Count);
            foreach (var text in texts)
            {
                WriteText(text);
            }
        }

        /// <summary>What a call carries beside its arguments: the trace of whoever makes it.</summary>
        internal void WriteHeaders((string? TraceParent, string? TraceState) trace)
        {
            WriteCount(trace.TraceParent is null ? 0 : string.IsNullOrEmpty(trace.TraceState) ? 1 : 2);
            if (trace.TraceParent is not null)
            {
                WriteText("traceparent");
                WriteText(trace.TraceParent);
                if (!string.IsNullOrEmpty(trace.TraceState))
                {
                    WriteText("tracestate");
                    WriteText(trace.TraceState);
                }
            }
        }

        internal void WriteFailure(Exception exception)
        {
            // What a callee has raised is handed on as it came.
            if (exception is PerperExecutionException raised)
            {
                WriteText(raised.Type);
                WriteText(raised.Message);
                WriteText(raised.RemoteStackTrace);
                return;
            }

            WriteText(exception is PerperException { Reason: var reason } and not PerperValueException ? reason : exception.GetType().Name);
            WriteText(exception.Message);
            WriteText(exception.StackTrace ?? "");
        }

        internal void WriteStreamOptions(PerperStreamOptions options)
        {
            WriteBool(options.Persistent);
            WriteBool(options.Action);
            WriteU64((ulong)options.Stride);
            WriteI64(options.FirstKey);
            WriteU64((ulong)options.BacklogItems);
            WriteTexts(options.IndexedMembers());
        }
    }

    /// <summary>What a port can be asked for; the numbers are the core's.</summary>
    internal enum Operation : byte
    {
        Complete = 1,
        Fail = 2,
        Release = 3,
        Cancel = 4,
        Stop = 5,
        ReleaseAll = 6,
        Grant = 7,
        Call = 10,
        StartInstance = 11,
        StopInstance = 12,
        CreateExecution = 13,
        WaitExecution = 14,
        CancelExecution = 15,
        ForgetExecution = 16,
        CompleteManual = 17,
        CreateStream = 20,
        StartStream = 21,
        CompleteStream = 22,
        DestroyStream = 23,
        WaitForListener = 24,
        GetStream = 25,
        RemoveListener = 26,
        ReadItems = 27,
        OpenWriter = 30,
        WriteItems = 31,
        FlushWriter = 32,
        CloseWriter = 33,
        WriteItem = 34,
        AttachListener = 35,
        NextItems = 36,
        Processed = 37,
        DetachListener = 38,
        CreateDictionary = 40,
        UpdateDictionary = 41,
        EnumerateDictionary = 42,
        DestroyDictionary = 43,
        CreateList = 50,
        UpdateList = 51,
        EnumerateList = 52,
        DestroyList = 53,
    }
}
