using System;
using System.Collections.Generic;

namespace Perper.Model
{
    /// <summary>Why an operation failed. Programs decide by <see cref="Reason"/>, or by the type of the exception.</summary>
    public class PerperException : InvalidOperationException
    {
        private static readonly IReadOnlyDictionary<string, string> None = new Dictionary<string, string>();

        /// <summary>Creates an exception of a kind.</summary>
        public PerperException(int code, string reason, string message, IReadOnlyDictionary<string, string>? details = null)
            : base(message)
        {
            Code = code;
            Reason = reason;
            Details = details ?? None;
        }

        /// <summary>The number of the kind, the same in every language and version.</summary>
        public int Code { get; }

        /// <summary>The name of the kind as the protocol spells it, such as <c>NOT_FOUND</c>.</summary>
        public string Reason { get; }

        /// <summary>The values that the message speaks of, by name.</summary>
        public IReadOnlyDictionary<string, string> Details { get; }

        internal static PerperException InvalidArgument(string message) => new PerperException(10, "INVALID_ARGUMENT", message);

        internal static PerperException Closed(string message) => new PerperException(4, "CLOSED", message);

        /// <summary>The one table from kinds to types.</summary>
        internal static PerperException Create(int code, string reason, string message, IReadOnlyDictionary<string, string> details, (string Type, string Message, string StackTrace)? failure) => code switch
        {
            54 => new PerperExecutionException(failure?.Type ?? "", failure?.Message ?? message, failure?.StackTrace ?? "", details),
            51 => new PerperExecutionCancelledException(message, details),
            52 => new PerperDeadlineException(message, details),
            11 => new PerperValueException("value", message),
            _ => new PerperException(code, reason, message, details),
        };
    }

    /// <summary>A handler raised an error, in whatever language it is written.</summary>
    public class PerperExecutionException : PerperException
    {
        /// <summary>Creates an exception of what was raised.</summary>
        public PerperExecutionException(string type, string message, string remoteStackTrace = "", IReadOnlyDictionary<string, string>? details = null)
            : base(54, "EXECUTION_FAILED", message, details)
        {
            Type = type;
            RemoteStackTrace = remoteStackTrace;
        }

        /// <summary>The type of the error, as its language names it.</summary>
        public string Type { get; }

        /// <summary>Where it was raised; empty where the language does not say.</summary>
        public string RemoteStackTrace { get; }

        /// <inheritdoc />
        public override string ToString() => RemoteStackTrace.Length == 0
            ? base.ToString()
            : $"{base.ToString()}\n--- raised by the handler as {Type} ---\n{RemoteStackTrace}";
    }

    /// <summary>
    /// The execution that was waited for has been cancelled. Not an <see cref="OperationCanceledException"/>, so that it
    /// is not mistaken for the caller's own cancellation.
    /// </summary>
    public class PerperExecutionCancelledException : PerperException
    {
        /// <summary>Creates the exception.</summary>
        public PerperExecutionCancelledException(string message, IReadOnlyDictionary<string, string>? details = null)
            : base(51, "EXECUTION_CANCELLED", message, details)
        {
        }
    }

    /// <summary>The deadline of the execution passed before it had a result.</summary>
    public class PerperDeadlineException : PerperException
    {
        /// <summary>Creates the exception.</summary>
        public PerperDeadlineException(string message, IReadOnlyDictionary<string, string>? details = null)
            : base(52, "EXECUTION_DEADLINE", message, details)
        {
        }
    }

    /// <summary>Something that cannot be a value, or a value that is not of the type that was asked for.</summary>
    public class PerperValueException : PerperException
    {
        private readonly string fault;

        /// <summary>Creates the exception.</summary>
        /// <param name="kind">What kind of fault it is, such as <c>type</c> or <c>range</c>.</param>
        /// <param name="fault">What is wrong.</param>
        /// <param name="path">Where, such as <c>arguments[0]['name']</c>.</param>
        public PerperValueException(string kind, string fault, string path = "")
            : base(11, "INVALID_VALUE", fault)
        {
            Kind = kind;
            Path = path;
            this.fault = fault;
        }

        /// <summary>What kind of fault it is, in the terms of the description of values.</summary>
        public string Kind { get; }

        /// <summary>The path to the place; empty for the outermost value.</summary>
        public string Path { get; private set; }

        /// <inheritdoc />
        public override string Message => Path.Length == 0 ? fault : $"{Path}: {fault}";

        /// <summary>Puts a step in front of the path, while the exception is on its way out.</summary>
        public PerperValueException Within(string step)
        {
            Path = step + Path;
            return this;
        }

        internal PerperValueException WithinMember(string name) => Within($"['{name}']");

        internal PerperValueException WithinElement(int index) => Within($"[{index}]");
    }
}
