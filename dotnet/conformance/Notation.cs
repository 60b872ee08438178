using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Numerics;
using System.Text.Json;
using System.Text.Json.Nodes;

using Perper.Model;

namespace Perper.Conformance
{
    /// <summary>Values as the scenarios write them in JSON.</summary>
    internal static class Notation
    {
        /// <summary>Values may be nested more deeply than JSON usually is.</summary>
        internal static readonly JsonSerializerOptions Deep = new() { MaxDepth = 1024 };

        internal static JsonObject Parse(string text) => JsonNode.Parse(text, null, new JsonDocumentOptions { MaxDepth = 1024 })!.AsObject();

        internal static object? FromJson(JsonNode? json) => json switch
        {
            null => null,
            JsonArray array => array.Select(FromJson).ToList(),
            JsonObject it when it.FirstOrDefault(member => member.Key.StartsWith('$')).Key is { } kind => Special(it, kind),
            JsonObject it => it.ToDictionary(member => member.Key, member => FromJson(member.Value)),
            JsonValue value => Scalar(value.GetValue<JsonElement>()),
            _ => throw new CommandException($"{json} is no value"),
        };

        private static object? Scalar(JsonElement element)
        {
            switch (element.ValueKind)
            {
                case JsonValueKind.True:
                    return true;
                case JsonValueKind.False:
                    return false;
                case JsonValueKind.String:
                    return element.GetString();
                case JsonValueKind.Number:
                    var text = element.GetRawText();
                    // Without fraction and exponent it is an integer.
                    return text.IndexOfAny(new[] { '.', 'e', 'E' }) >= 0 ? element.GetDouble() : Integer(text);
                default:
                    return null;
            }
        }

        private static object Integer(string text)
        {
            var number = BigInteger.Parse(text, CultureInfo.InvariantCulture);
            return number >= long.MinValue && number <= long.MaxValue ? (object)(long)number : number;
        }

        private static object? Special(JsonObject it, string kind)
        {
            string Text() => it[kind]!.GetValue<string>();
            List<object?> List() => it[kind]!.AsArray().Select(FromJson).ToList();
            switch (kind)
            {
                case "$int":
                    return Integer(Text());
                case "$float":
                    return double.Parse(Text(), CultureInfo.InvariantCulture);
                case "$bytes":
                    return Convert.FromHexString(Text());
                case "$map":
                    return it[kind]!.AsArray().Select(pair => new KeyValuePair<object?, object?>(FromJson(pair![0]), FromJson(pair[1]))).ToList();
                case "$datetime":
                    // As it is written: its nanoseconds would not fit into a DateTimeOffset.
                    return new PerperTagged(0, Text());
                case "$uuid":
                    return Guid.Parse(Text());
                case "$decimal":
                    return Decimal(Text());
                case "$set":
                    return List().ToHashSet();
                case "$tagged":
                    return new PerperTagged(Convert.ToUInt64(List()[0], CultureInfo.InvariantCulture), List()[1]);
                default:
                    return Reference(it, kind);
            }
        }

        private static object Decimal(string text)
        {
            var mantissa = text.Split('e', 'E');
            var point = mantissa[0].IndexOf('.');
            var exponent = (mantissa.Length > 1 ? long.Parse(mantissa[1], CultureInfo.InvariantCulture) : 0) - (point < 0 ? 0 : mantissa[0].Length - point - 1);
            return new PerperTagged(4, new List<object?> { exponent, BigInteger.Parse(mantissa[0].Replace(".", ""), CultureInfo.InvariantCulture) });
        }

        private static readonly Dictionary<string, string> Types = new()
        {
            ["$agent"] = "perper.Agent",
            ["$stream"] = "perper.Stream",
            ["$execution"] = "perper.Execution",
            ["$dictionary"] = "perper.Dictionary",
            ["$list"] = "perper.List",
        };

        private static object? Reference(JsonObject it, string kind)
        {
            if (!Types.TryGetValue(kind, out var type))
            {
                throw new CommandException($"{kind} is no kind of value");
            }

            var options = it.Where(member => member.Key != kind).ToDictionary(member => member.Key, member => FromJson(member.Value));
            // Through the bytes, so that it becomes what the library reads.
            return Protocol.PerperValues.Deserialize<object?>(Protocol.PerperValues.Serialize(new PerperReference(type, it[kind]!.GetValue<string>(), options)));
        }

        internal static JsonNode? ToJson(object? value)
        {
            switch (value)
            {
                case null:
                    return null;
                case bool boolean:
                    return boolean;
                case int or long:
                    var number = Convert.ToInt64(value, CultureInfo.InvariantCulture);
                    return Math.Abs((double)number) < 1L << 53 ? number : Object("$int", number.ToString(CultureInfo.InvariantCulture));
                case BigInteger integer:
                    return Object("$int", integer.ToString(CultureInfo.InvariantCulture));
                case double real:
                    return Object("$float", Float(real));
                case string text:
                    return text;
                case byte[] bytes:
                    return Object("$bytes", Convert.ToHexString(bytes).ToLowerInvariant());
                case Guid id:
                    return Object("$uuid", id.ToString());
                case decimal exact:
                    return Object("$decimal", exact.ToString(CultureInfo.InvariantCulture));
                case DateTimeOffset time:
                    return Object("$datetime", time.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffffzzz", CultureInfo.InvariantCulture));
                case PerperTagged { Tag: 0, Content: string text }:
                    return Object("$datetime", text);
                case PerperTagged { Tag: 4, Content: List<object?> parts }:
                    return Object("$decimal", $"{parts[1]}e{parts[0]}");
                case PerperTagged tagged:
                    return new JsonObject { ["$tagged"] = new JsonArray(JsonValue.Create(tagged.Tag), ToJson(tagged.Content)) };
                case List<object?> array:
                    return All(array);
                case HashSet<object?> set:
                    return new JsonObject { ["$set"] = All(set) };
                case Dictionary<string, object?> map when !map.Keys.Any(key => key.StartsWith('$')):
                    var it = new JsonObject();
                    foreach (var (key, entry) in map)
                    {
                        it[key] = ToJson(entry);
                    }

                    return it;
                case Dictionary<string, object?> map:
                    return Map(map.Select(entry => new KeyValuePair<object?, object?>(entry.Key, entry.Value)));
                case Dictionary<object, object?> map:
                    return Map(map.Select(entry => new KeyValuePair<object?, object?>(entry.Key, entry.Value)));
                case List<KeyValuePair<object?, object?>> map:
                    return Map(map);
                case PerperReferenceBase reference:
                    var (type, name, options) = reference.ToParts();
                    var json = Object(Types.FirstOrDefault(known => known.Value == type).Key ?? throw new CommandException($"{type} has no notation"), name);
                    foreach (var (member, option) in options)
                    {
                        json[member] = ToJson(option);
                    }

                    return json;
                default:
                    throw new CommandException($"{value.GetType()} has no notation");
            }
        }

        internal static JsonArray All(IEnumerable<object?> values) => new(values.Select(ToJson).ToArray());

        private static JsonObject Map(IEnumerable<KeyValuePair<object?, object?>> entries) =>
            new() { ["$map"] = new JsonArray(entries.Select(entry => (JsonNode?)new JsonArray(ToJson(entry.Key), ToJson(entry.Value))).ToArray()) };

        private static JsonObject Object(string kind, string text) => new() { [kind] = text };

        private static string Float(double value)
        {
            if (double.IsNaN(value))
            {
                return "NaN";
            }

            if (double.IsInfinity(value))
            {
                return value > 0 ? "Infinity" : "-Infinity";
            }

            return value.ToString("R", CultureInfo.InvariantCulture);
        }
    }

    /// <summary>A command that this peer does not understand.</summary>
    internal sealed class CommandException : Exception
    {
        internal CommandException(string message) : base(message)
        {
        }
    }
}
