using System;
using System.Collections.Generic;
using System.Linq;

using Perper.Protocol;

namespace Perper.Model
{
    /// <summary>Something in the Fabric that values can refer to. References are equal if they name the same thing in the same way.</summary>
    public abstract class PerperReferenceBase : IEquatable<PerperReferenceBase>
    {
        /// <summary>What newer libraries know of the reference; handed on as it came.</summary>
        internal IReadOnlyDictionary<string, object?>? Options { get; set; }

        /// <summary>The reference as it travels: type, id, options.</summary>
        internal abstract (string Type, string Id, IEnumerable<KeyValuePair<string, object?>> Options) ToParts();

        /// <summary>The options of newer libraries.</summary>
        private protected IEnumerable<KeyValuePair<string, object?>> Others() => Options ?? Enumerable.Empty<KeyValuePair<string, object?>>();

        /// <inheritdoc />
        public bool Equals(PerperReferenceBase? other)
        {
            if (other is null || other.GetType() != GetType())
            {
                return false;
            }

            var (mine, its) = (ToParts(), other.ToParts());
            return mine.Type == its.Type && mine.Id == its.Id && Significant(mine.Options).SetEquals(Significant(its.Options));
        }

        // Who may use a thing says nothing about which thing it is.
        private static HashSet<(string, string)> Significant(IEnumerable<KeyValuePair<string, object?>> options) =>
            options.Where(option => option.Key != "capability").Select(option => (option.Key, Convert.ToHexString(PerperValues.Serialize(option.Value)))).ToHashSet();

        /// <inheritdoc />
        public override bool Equals(object? obj) => obj is PerperReferenceBase other && Equals(other);

        /// <inheritdoc />
        public override int GetHashCode()
        {
            var (type, id, _) = ToParts();
            return HashCode.Combine(type, id);
        }
    }

    /// <summary>An instance of an agent: whom to call.</summary>
    public sealed class PerperAgent : PerperReferenceBase
    {
        internal const string Type = "perper.Agent";

        /// <summary>Creates the reference to an instance.</summary>
        /// <param name="agent">The agent's name.</param>
        /// <param name="instance">Id of the instance; empty for the agent's implicit one.</param>
        public PerperAgent(string agent, string instance)
        {
            Agent = agent;
            Instance = instance;
        }

        /// <summary>The agent's name.</summary>
        public string Agent { get; }

        /// <summary>Id of the instance.</summary>
        public string Instance { get; }

        /// <inheritdoc />
        public override string ToString() => $"PerperAgent({Agent}, {Instance})";

        internal override (string, string, IEnumerable<KeyValuePair<string, object?>>) ToParts() =>
            (Type, Agent, Instance.Length == 0 ? Others() : Others().Prepend(new("instance", Instance)));
    }

    /// <summary>An execution: one call.</summary>
    public sealed class PerperExecution : PerperReferenceBase
    {
        internal const string Type = "perper.Execution";

        /// <summary>Creates the reference to an execution.</summary>
        public PerperExecution(string execution) => Execution = execution;

        /// <summary>Id of the execution.</summary>
        public string Execution { get; }

        /// <inheritdoc />
        public override string ToString() => $"PerperExecution({Execution})";

        internal override (string, string, IEnumerable<KeyValuePair<string, object?>>) ToParts() => (Type, Execution, Others());
    }

    /// <summary>A stream of items, and from where on to read it.</summary>
    public sealed class PerperStream : PerperReferenceBase
    {
        internal const string Type = "perper.Stream";

        /// <summary>The <see cref="StartIndex"/> that stands for the latest item on.</summary>
        public const long StartIndexLatest = -1;

        /// <summary>The former name of <see cref="StartIndexLatest"/>.</summary>
        public const long StartIndexReplay = StartIndexLatest;

        /// <summary>The <see cref="StartIndex"/> that stands for the first item kept.</summary>
        public const long StartIndexBeginning = long.MinValue;

        /// <summary>Creates the reference to a stream.</summary>
        /// <param name="stream">Id of the stream.</param>
        /// <param name="startIndex">The key to read from, inclusive; <see cref="StartIndexLatest"/> for what comes after the latest item.</param>
        /// <param name="stride">The distance of two keys of a packed stream; 0 for an unpacked one.</param>
        /// <param name="localToData">Read only the items that are stored where the reader is.</param>
        public PerperStream(string stream, long startIndex = StartIndexLatest, long stride = 0, bool localToData = false)
            : this(stream, startIndex == StartIndexLatest ? null : startIndex, stride, localToData, null)
        {
        }

        private PerperStream(string stream, long? start, long stride, bool localToData, IReadOnlyDictionary<string, object?>? options)
        {
            Stream = stream;
            Start = start;
            Stride = stride;
            LocalToData = localToData;
            Options = options;
        }

        /// <summary>Id of the stream.</summary>
        public string Stream { get; }

        /// <summary>The key to read from, inclusive; <see cref="StartIndexLatest"/> for what comes after the latest item.</summary>
        public long StartIndex => Start ?? StartIndexLatest;

        /// <summary>The key to read from, told apart from none: −1 is a key as well.</summary>
        internal long? Start { get; }

        /// <summary>The distance of two keys of a packed stream.</summary>
        public long Stride { get; }

        /// <summary>Whether only the items are read that are stored where the reader is.</summary>
        public bool LocalToData { get; }

        /// <summary>Whether it is read from a key rather than from the latest item on.</summary>
        public bool IsReplayed => Start.HasValue;

        /// <summary>Whether its keys are a fixed distance apart.</summary>
        public bool IsPacked => Stride != 0;

        /// <inheritdoc />
        public override string ToString() => $"PerperStream({Stream}, from: {StartIndex}, stride: {Stride}, local: {LocalToData})";

        internal PerperStream With(long? start, bool localToData) => new(Stream, start, Stride, localToData, Options);

        internal static PerperStream At(string stream, long? start, long stride, bool localToData) => new(stream, start, stride, localToData, null);

        internal override (string, string, IEnumerable<KeyValuePair<string, object?>>) ToParts()
        {
            var options = new List<KeyValuePair<string, object?>>();
            if (Start is { } start)
            {
                options.Add(new("start", start));
            }

            if (IsPacked)
            {
                options.Add(new("stride", Stride));
            }

            if (LocalToData)
            {
                options.Add(new("localToData", true));
            }

            return (Type, Stream, options.Concat(Others()));
        }
    }

    /// <summary>A dictionary in the Fabric.</summary>
    public sealed class PerperDictionary : PerperReferenceBase
    {
        internal const string Type = "perper.Dictionary";

        /// <summary>Creates the reference to a dictionary.</summary>
        public PerperDictionary(string name) => Name = name;

        /// <summary>Id of the dictionary.</summary>
        public string Name { get; }

        /// <inheritdoc />
        public override string ToString() => $"PerperDictionary({Name})";

        internal override (string, string, IEnumerable<KeyValuePair<string, object?>>) ToParts() => (Type, Name, Others());
    }

    /// <summary>A list in the Fabric.</summary>
    public sealed class PerperList : PerperReferenceBase
    {
        internal const string Type = "perper.List";

        /// <summary>Creates the reference to a list.</summary>
        public PerperList(string name) => Name = name;

        /// <summary>Id of the list.</summary>
        public string Name { get; }

        /// <inheritdoc />
        public override string ToString() => $"PerperList({Name})";

        internal override (string, string, IEnumerable<KeyValuePair<string, object?>>) ToParts() => (Type, Name, Others());
    }

    /// <summary>A reference of a type that this library does not know; handed on as it came.</summary>
    public sealed class PerperReference : PerperReferenceBase
    {
        /// <summary>Creates the reference.</summary>
        public PerperReference(string type, string id, IReadOnlyDictionary<string, object?>? options = null)
        {
            ReferenceType = type;
            Id = id;
            Options = options;
        }

        /// <summary>What it refers to.</summary>
        public string ReferenceType { get; }

        /// <summary>Which one.</summary>
        public string Id { get; }

        /// <inheritdoc />
        public override string ToString() => $"PerperReference({ReferenceType}, {Id})";

        internal override (string, string, IEnumerable<KeyValuePair<string, object?>>) ToParts() => (ReferenceType, Id, Others());
    }

    /// <summary>A value under a tag of CBOR that has no type of .NET; handed on as it came.</summary>
    /// <param name="Tag">The tag.</param>
    /// <param name="Content">What is under it.</param>
    public sealed record PerperTagged(ulong Tag, object? Content);
}
