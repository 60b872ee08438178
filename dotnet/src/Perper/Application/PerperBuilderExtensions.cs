using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;

using Microsoft.Extensions.DependencyInjection;

using Perper.Application.Handlers;
using Perper.Application.Listeners;
using Perper.Model;

namespace Perper.Application
{
    /// <summary>Adds handlers of classes, methods and lambdas.</summary>
    public static class PerperBuilderExtensions
    {
        /// <summary>The method of a class that is the handler of the delegate of its name; or <c>RunAsync</c>.</summary>
        public const string RunMethodName = "Run";

        /// <summary>What a trimmer must leave of a class of handlers.</summary>
        private const DynamicallyAccessedMemberTypes Members = DynamicallyAccessedMemberTypes.PublicMethods | DynamicallyAccessedMemberTypes.PublicConstructors;

        /// <summary>The delegates that have listeners of their own, with these.</summary>
        public static IReadOnlyDictionary<string, Type> DelegateNames { get; } = new Dictionary<string, Type>
        {
            ["Deploy"] = typeof(DeployPerperListener),
            ["Upgrade"] = typeof(UpgradePerperListener),
            ["Init"] = typeof(EnterContainerPerperListener),
            ["EnterContainer"] = typeof(EnterContainerPerperListener),
            ["RunInstance"] = typeof(RunInstancePerperListener),
            ["Start"] = typeof(StartPerperListener),
            ["Startup"] = typeof(StartPerperListener),
            ["Stop"] = typeof(StopPerperListener),
        };

        /// <summary>What is stripped from the names of methods.</summary>
        public const string AsyncMethodSuffix = "Async";

        /// <summary>
        /// Adds every class of a namespace, and of those within it, that has a <c>Run</c> or <c>RunAsync</c>, as the
        /// delegate of its name.
        /// </summary>
        /// <param name="builder">The builder.</param>
        /// <param name="agent">The agent; the name of the assembly otherwise.</param>
        /// <param name="assembly">The assembly; the caller's otherwise.</param>
        /// <param name="rootNamespace">The namespace; the name of the assembly otherwise.</param>
        [RequiresUnreferencedCode("It looks for classes by their namespace, which a trimmer cannot know of; add each with AddHandler.")]
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static IPerperBuilder AddAssemblyHandlers(this IPerperBuilder builder, string? agent = null, Assembly? assembly = null, string? rootNamespace = null)
        {
            assembly ??= Assembly.GetCallingAssembly();
            var name = assembly.GetName().Name!;
            agent ??= name;
            rootNamespace ??= name;
            foreach (var type in assembly.GetTypes())
            {
                var isWithin = type.Namespace == rootNamespace || type.Namespace?.StartsWith(rootNamespace + ".", StringComparison.Ordinal) == true;
                if (type.IsClass && !type.IsNested && isWithin && RunMethod(type) is { } method)
                {
                    builder.AddHandler(agent, type.Name, type, method);
                }
            }

            return builder.AddFallbackHandlers(agent);
        }

        /// <summary>Adds every public method of a class as a delegate of the agent of the class's name.</summary>
        public static IPerperBuilder AddClassHandlers<[DynamicallyAccessedMembers(Members)] T>(this IPerperBuilder builder) => builder.AddClassHandlers(typeof(T));

        /// <summary>Adds every public method of a class as a delegate of the agent of the class's name.</summary>
        public static IPerperBuilder AddClassHandlers(this IPerperBuilder builder, [DynamicallyAccessedMembers(Members)] Type type) => builder.AddClassHandlers(type.Name, type);

        /// <summary>Adds every public method of a class as a delegate of an agent.</summary>
        public static IPerperBuilder AddClassHandlers(this IPerperBuilder builder, string agent, [DynamicallyAccessedMembers(Members)] Type type)
        {
            foreach (var method in type.GetMethods().Where(method => method.DeclaringType != typeof(object) && !method.IsSpecialName && !IsDisposal(method)))
            {
                builder.AddHandler(agent, Strip(method.Name), type, method);
            }

            return builder.AddFallbackHandlers(agent);
        }

        private static bool IsDisposal(MethodInfo method) => method.Name is "Dispose" or "DisposeAsync" && method.GetParameters().Length == 0;

        /// <summary>Adds a class with a <c>Run</c> or <c>RunAsync</c> as the delegate of its name.</summary>
        public static IPerperBuilder AddHandler<[DynamicallyAccessedMembers(Members)] T>(this IPerperBuilder builder, string agent) => builder.AddHandler(agent, typeof(T));

        /// <summary>Adds a class with a <c>Run</c> or <c>RunAsync</c> as the delegate of its name.</summary>
        public static IPerperBuilder AddHandler(this IPerperBuilder builder, string agent, [DynamicallyAccessedMembers(Members)] Type type) => builder.AddHandler(agent, type.Name, type);

        /// <summary>Adds a class with a <c>Run</c> or <c>RunAsync</c> as a delegate.</summary>
        public static IPerperBuilder AddHandler(this IPerperBuilder builder, string agent, string @delegate, [DynamicallyAccessedMembers(Members)] Type type) =>
            builder.AddHandler(agent, @delegate, type, RunMethod(type) ?? throw new PerperException(3, "INVALID_SETTINGS", $"{type} has neither a public Run nor a RunAsync, or several"));

        /// <summary>Adds a method as the delegate of its name.</summary>
        public static IPerperBuilder AddHandler(this IPerperBuilder builder, string agent, Type type, MethodInfo method) =>
            builder.AddHandler(agent, Strip(method.Name), type, method);

        /// <summary>Adds a method as a delegate.</summary>
        public static IPerperBuilder AddHandler(this IPerperBuilder builder, string agent, string @delegate, Type type, MethodInfo method) =>
            builder.AddHandler(agent, @delegate, services => new MethodPerperHandler(type, method, services), method.GetCustomAttribute<PerperStreamOptionsAttribute>()?.Options);

        /// <summary>Adds a lambda as a delegate.</summary>
        public static IPerperBuilder AddHandler(this IPerperBuilder builder, string agent, string @delegate, Delegate handler) =>
            builder.AddHandler(agent, @delegate, services => new MethodPerperHandler(handler, services), handler.Method.GetCustomAttribute<PerperStreamOptionsAttribute>()?.Options);

        /// <summary>Adds a handler as a delegate, or for one of the moments in the life of a process or an instance that have names.</summary>
        public static IPerperBuilder AddHandler(this IPerperBuilder builder, string agent, string @delegate, Func<IServiceProvider, IPerperHandler> handlerFactory, PerperStreamOptions? streamOptions = null) =>
            builder.AddListener(services =>
            {
                var handler = handlerFactory(services);
                return @delegate switch
                {
                    "Deploy" => new DeployPerperListener(agent, handler, services),
                    "Upgrade" => new UpgradePerperListener(agent, handler, services),
                    "RunInstance" => new RunInstancePerperListener(agent, handler, services),
                    "Init" or "EnterContainer" => new EnterContainerPerperListener(agent, handler, services),
                    "Start" or "Startup" => new StartPerperListener(agent, handler, services),
                    "Stop" => new StopPerperListener(agent, handler, services),
                    _ when streamOptions is not null || handler is MethodPerperHandler { IsStream: true } =>
                        new StreamPerperListener(agent, @delegate, streamOptions ?? new PerperStreamOptions(), handler, services),
                    _ => new ExecutionPerperListener(agent, @delegate, handler, services),
                };
            });

        /// <summary>Adds a lambda that runs when an instance enters the process.</summary>
        public static IPerperBuilder AddInitHandler(this IPerperBuilder builder, string agent, Delegate handler) => builder.AddHandler(agent, "Init", handler);

        /// <summary>Adds a class with a <c>Run</c> or <c>RunAsync</c> that runs when an instance enters the process.</summary>
        public static IPerperBuilder AddInitHandler<T>(this IPerperBuilder builder, string agent) => builder.AddHandler(agent, "Init", typeof(T));

        /// <summary>Adds a class with a <c>Run</c> or <c>RunAsync</c> that runs when an instance enters the process.</summary>
        public static IPerperBuilder AddInitHandler(this IPerperBuilder builder, string agent, Type initType) => builder.AddHandler(agent, "Init", initType);

        /// <summary>Adds a method that runs when an instance enters the process.</summary>
        public static IPerperBuilder AddInitHandler(this IPerperBuilder builder, string agent, Type initType, MethodInfo method) => builder.AddHandler(agent, "Init", initType, method);

        /// <summary>When the process is deployed, starts an instance of the agent; the same one however many processes there are.</summary>
        public static IPerperBuilder AddDeploySingletonHandler(this IPerperBuilder builder, string agent) =>
            builder.AddListener(services => new DeployPerperListener(agent, new DeploySingletonPerperHandler(services), services));

        /// <summary>Serves an agent for which nothing else may have been added: its instances start and stop.</summary>
        public static IPerperBuilder AddFallbackHandlers(this IPerperBuilder builder, string agent) =>
            builder.AddListener(services => new FallbackPerperListener(agent, services));

        private static string Strip(string name) => name.EndsWith(AsyncMethodSuffix, StringComparison.Ordinal) ? name.Substring(0, name.Length - AsyncMethodSuffix.Length) : name;

        private static MethodInfo? RunMethod(Type type)
        {
            var methods = type.GetMethods().Where(method => Strip(method.Name) == RunMethodName).ToArray();
            return methods.Length == 1 ? methods[0] : null;
        }
    }
}
